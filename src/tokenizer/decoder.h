#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace tigerbot {

/// Pieces of one text on their way back to text, one piece at a time. What has come out, joined, is
/// at the end exactly what the decoder gives for all pieces at once.
class DecodeStage {
 public:
  virtual ~DecodeStage() = default;

  /// Takes a part of a piece. `begins`: the part is the first of its piece.
  virtual void push(std::string_view part, bool begins) = 0;
  /// Called once after the last part.
  virtual void finish() = 0;
};

/// The `decoder` node of tokenizer.json. Immutable and safe to use from many threads.
class Decoder {
 public:
  /// `where` names the file and the node in errors. Null joins pieces with a space, as the
  /// reference does.
  static Decoder from_json(const nlohmann::json& node, const std::string& where);

  /// One text in the making.
  class Run {
   public:
    Run(Run&&) noexcept;
    ~Run();
    /// Takes a piece and returns the text that is now sure.
    std::string push(std::string_view piece);
    /// The rest.
    std::string finish();

   private:
    friend class Decoder;
    struct State;
    explicit Run(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
  };
  Run start() const;

  /// True for the ByteLevel decoder alone.
  bool is_byte_level() const;

  struct Step;  ///< what one node says
  Decoder();
  Decoder(Decoder&&) noexcept;
  Decoder& operator=(Decoder&&) noexcept;
  ~Decoder();

 private:
  std::vector<std::unique_ptr<const Step>> steps_;
};

}  // namespace tigerbot
