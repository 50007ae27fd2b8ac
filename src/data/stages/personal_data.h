#pragma once

#include <cstdint>
#include <string>
#include <string_view>

/// Finds and masks what identifies a person: numbers are taken only where their form and check
/// digits are right, so that ordinary figures stay.
namespace tigerbot::data {

enum class PersonalData : std::uint8_t {
  kEmail,     ///< an address with a domain that has a letter-only top level
  kPhone,     ///< +CC numbers; mobile and fixed numbers as China, Japan, Korea, the US write them
  kIdentity,  ///< Chinese identity card (check digit, date), Korean resident number (date, check
              ///< digit), Japanese My Number (check digit, and the words beside it), US SSN
  kCard,      ///< bank cards: 13 to 19 digits of a known network that pass Luhn's test
};

inline constexpr std::uint8_t mask_bit(PersonalData kind) {
  return static_cast<std::uint8_t>(1u << static_cast<unsigned>(kind));
}

/// Replaces what `kinds` (bits of mask_bit) names by [EMAIL], [PHONE], [ID], [CARD]; returns the
/// bits of what was found.
std::uint8_t mask_personal_data(std::string& text, std::uint8_t kinds);

bool is_chinese_identity_number(std::string_view digits);    ///< 18 characters, the last may be X
bool is_korean_resident_number(std::string_view digits);     ///< 13 digits
bool is_japanese_my_number(std::string_view digits);         ///< 12 digits
bool is_us_social_security_number(std::string_view digits);  ///< 9 digits
bool is_bank_card_number(std::string_view digits);           ///< 13 to 19 digits

}  // namespace tigerbot::data
