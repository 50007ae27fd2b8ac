#include "data/readers/common_characters.h"

#include <algorithm>
#include <string_view>

#include "base/utf8.h"

namespace tigerbot::data {
namespace {

constexpr std::string_view kPunctuation = "，。、；：？！（）「」『』“”《》　・…—";

// The two hundred or so most frequent characters of modern Chinese and of technical Chinese.
constexpr std::string_view kSimplified =
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发"
    "后作里"
    "用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只"
    "从想实"
    "日军者意无力它与长把机十民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头"
    "文体政"
    "美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立"
    "及比员"
    "解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太量再感建务做接"
    "必场件"
    "计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权"
    "思王象"
    "完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今切院让识候带导争运令户"
    "码器选"
    "请输字网页版默认参支持值件名示密录服载例如址显编库软窗键测试置功需包语号改查单双项您";

constexpr std::string_view kTraditional =
    "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過發"
    "後作裡"
    "用道行所然家種事成方多經麼去法學如都同現當沒動面起看定天分還進好小部其些主樣理心她本前開但因只"
    "從想實"
    "日軍者意無力它與長把機十民第公此已工使情明性知全三又關點正業外將兩高間由問很最重並物手應戰向頭"
    "文體政"
    "美相見被利什二等產或新己制身果加西斯月話合回特代內信表化老給世位次度門任常先海通教兒原東聲提立"
    "及比員"
    "解水名真論處走義各入幾口認條平系氣題活爾更別打女變四神總何電數安少報才結反受目太量再感建務做接"
    "必場件"
    "計管期市直德資命山金指克許統區保至隊形社便空決治展馬科司五基眼書非則聽白卻界達光放強即像難且權"
    "思王象"
    "完設式色路記南品住告類求據程北邊死張該交規萬取拉格望覺術領共確傳師觀清今切院讓識候帶導爭運令戶"
    "碼器選"
    "請輸字網頁版預設參支援持值檔名示密錄服載例址顯編庫軟體窗鍵測試置功需包語號改查單雙項您";

// Beside kana, which count by themselves.
constexpr std::string_view kJapanese =
    "日一国人年大十二本中長出三時行見月後前生五間上東四今金九入学高円子外八六下来気小七山話女北午百"
    "書先名"
    "川千水半男西電校語土木聞食車何南万毎白天母火右読友左休父雨会同事自社発者地業方新場員立開手力問"
    "代明動"
    "京目通言理体田主題意不作用度強公持野以思家世多正安院心界教文元重近考画海売知道集別物使品計死特"
    "私始朝"
    "運終台広住真有口少町料工建空急止送切転研足究楽起着店病質待試族銀早映親験英医仕去味写字答夜音注"
    "帰歌悪"
    "図室歩風紙黒花春赤青館屋色走秋夏習駅洋旅服夕借曜飲肉貸堂鳥飯勉冬昼茶弟牛魚兄犬妹姉漢定値設指数"
    "変表示"
    "関実合成部対全情報的要法性能必要接続管回取得削除形式対象名処参照場合指定値出力入力使用可能次";

// The most frequent syllables of Korean.
constexpr std::string_view kKorean =
    "이다는을의에하고가지로어은사한를서도기있그리자인나수아라대것시들들정일어으부만과구제보게해여상"
    "전없원장"
    "니면스동용않았었주조우말러안되문모위오신세화마소공선했른요같던비경며내무적려때각히할간생려야성"
    "방실계분"
    "치연습까거중르와트드미유저음래관개명진학당물등법통현금회바식불국민단회환파일합니습까입력출력설"
    "정사용파"
    "록드체크능값새변경삭제추가표시목열창메뉴버튼된될는데심강운양차반재결행발후직종람너배업집왔받직"
    "터프";

std::u32string sorted_set(std::initializer_list<std::string_view> parts) {
  std::u32string out;
  for (const auto part : parts) out += decode_utf8(part);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

}  // namespace

const CommonCharacters& common_characters() {
  static const CommonCharacters characters{
      sorted_set({kPunctuation, kSimplified}), sorted_set({kPunctuation, kTraditional}),
      sorted_set({kPunctuation, kJapanese}), sorted_set({kPunctuation, kKorean})};
  return characters;
}

}  // namespace tigerbot::data
