#include "data/stages/phrase_lists.h"

#include <algorithm>
#include <vector>

#include "data/stages/phrase_automaton.h"

namespace tigerbot::data {
namespace {

// One string a group, phrases between bars: folding covers letter case, width and traditional
// forms.
constexpr std::string_view kAdvertisements =
    // English
    "buy now|order now|shop now|call now|act now|add to cart|add to bag|free shipping|free "
    "delivery|"
    "money back guarantee|limited time offer|special offer|best price|lowest price|best prices|"
    "discount code|promo code|coupon code|click here to buy|sign up today|sign up now|"
    "satisfaction guaranteed|no obligation|100% free|risk free|while stocks last|in stock|out of "
    "stock|"
    "hurry up|don't miss out|exclusive deal|clearance sale|hot sale|wholesale price|cheap price|"
    "for sale|online casino|free spins|casino bonus|payday loan|payday loans|viagra|cialis|weight "
    "loss|"
    "replica watches|make money online|work from home|earn money|free quote|contact us today|"
    "call us today|visit our store|shop online|customer reviews|add to wishlist|sold out|"
    "per cent off|% off|free trial|instant approval|lose weight|escort service|seo services|"
    // Chinese
    "加微信|加我微信|微信号|添加微信|咨询热线|联系电话|咨询电话|服务热线|免费咨询|在线咨询|"
    "立即咨询|欢迎咨询|"
    "立即购买|点击购买|马上购买|立即抢购|限时优惠|限时抢购|特价优惠|优惠活动|全场包邮|包邮|"
    "货到付款|"
    "厂家直销|批发价格|厂家批发|报价单|最低价|量大从优|价格优惠|优质服务|诚信经营|欢迎来电|"
    "欢迎选购|欢迎惠顾|"
    "代开发票|办理证件|代办证|刻章|高薪诚聘|日赚|月入过万|兼职赚钱|网上赚钱|在线娱乐|真人娱乐|博彩|"
    "彩票平台|投注|时时彩|北京赛车|老虎机|开户送|注册送|充值送|返利|贷款|无抵押|信用卡套现|"
    "减肥茶|丰胸|壮阳|祛斑|淘宝店|旗舰店|扫码领取|领取优惠券|优惠券|秒杀|清仓|品牌代理|招商加盟|"
    "加盟热线|"
    "免费试用|官方正品|正品保证|假一赔十|七天无理由退货|专业生产|售后服务|质量保证|品质保证|"
    // Japanese
    "送料無料|今すぐ購入|今すぐ申し込|今すぐ登録|カートに入れる|カートに追加|お買い得|最安値|激安|"
    "特価|格安|"
    "期間限定|数量限定|ご注文は|お申し込みはこちら|お問い合わせはこちら|無料体験|無料相談|資料請求|"
    "即日発送|"
    "代引き|ポイント還元|クーポン|会員登録で|お得な|セール|通販|販売価格|税込価格|在庫あり|"
    "在庫切れ|ランキング1位|"
    "簡単に稼|副業で|出会い系|即日融資|アフィリエイト|オンラインカジノ|返金保証|"
    // Korean
    "무료배송|무료 배송|당일발송|당일 발송|최저가|특가|할인쿠폰|할인 쿠폰|할인행사|지금 "
    "구매|바로구매|바로 구매|"
    "장바구니|구매하기|카톡 문의|카톡문의|카카오톡 문의|상담문의|문의전화|상담 문의|무료상담|무료 "
    "상담|"
    "바카라|카지노|토토사이트|먹튀|대출 상담|당일대출|무직자대출|출장안마|홈타이|비아그라|시알리스|"
    "이벤트 참여|사은품|적립금|품절|재고|인기상품|추천상품|신상품|업체 추천|가격 문의";

constexpr std::string_view kChats =
    // English
    "lol|lmao|rofl|omg|wtf|haha|hahaha|hehe|lolz|idk|imo|imho|btw|tbh|smh|fyi|thx|plz|pls|ur|gonna|"
    "wanna|gotta|kinda|dunno|yeah|yep|nope|hey guys|hi guys|hi "
    "everyone|y'all|ya'll|bro|dude|hmm|ugh|"
    "wow|awww|ok so|uh|um|huh|oh my god|xoxo|ppl|cuz|coz|gimme|lemme|ain't|cya|ttyl|afaik|iirc|"
    // Chinese
    "哈哈|哈哈哈|呵呵|嘿嘿|嘻嘻|呜呜|哎呀|我靠|我擦|卧槽|尼玛|楼主|沙发|顶一个|路过|版主|加油啊|"
    "好吧|好啦|"
    "是吧|对吧|咋|咋办|咋样|啥|啥时候|为啥|干嘛|干啥|不造|酱紫|童鞋|亲们|亲爱的们|小伙伴们|宝宝们|"
    "么么哒|"
    "萌萌哒|么么|有木有|神马|给力|吐槽|屌丝|美眉|偶滴|伤不起|好滴|的说|晚安|早安|笑死|醉了|"
    "心塞|扎心|尴尬了|羡慕嫉妒恨|听我说|你们说|咱们|真的是|太可爱了|好可爱|好漂亮|好想|"
    // Japanese
    "www|ｗｗｗ|笑笑|(笑)|（笑）|だよね|だよねー|ですよね|じゃん|じゃね|っす|かな|かも|だねー|"
    "だなあ|マジで|"
    "やばい|ヤバい|ウケる|まじ|ありがとー|おはよー|おつかれ|おつです|だってさ|なんだけど|"
    "じゃないの|よろしくね|"
    "みたいな|ってか|つーか|すげー|うぜー|でしょー|だよー|だね|だよ|"
    // Korean
    "ㅋㅋ|ㅋㅋㅋ|ㅎㅎ|ㅎㅎㅎ|ㅠㅠ|ㅜㅜ|ㄷㄷ|ㅇㅇ|ㄴㄴ|ㅇㅋ|헐|대박|진짜|완전|존나|개웃|넘|걍|암튼|"
    "근데|"
    "했음|했슴|인듯|인거|같음|보삼|했삼|하셈|ㄱㄱ|잼|꿀잼|노잼|핵잼|쩐다|쩔어|짱|최고에요|재밌어요|"
    "재밌다|재미없|"
    "개꿀|레알|ㅇㅈ";

constexpr std::string_view kPlaceholders =
    "lorem ipsum|dolor sit amet|undefined undefined|null null null|nan nan|锟斤拷|烫烫烫|屯屯屯|"
    "\xEF\xBF\xBD\xEF\xBF\xBD|page not found|404 not found|403 forbidden|access denied|"
    "500 internal server error|just a moment|verify you are human|enable javascript and cookies|"
    "页面不存在|您访问的页面|找不到页面|ページが見つかりません|페이지를 찾을 수 없습니다|test test "
    "test";

constexpr std::string_view kTeasers =
    "read more|continue reading|read the full|click here to read|more details|full article|see "
    "more|"
    "阅读全文|查看全文|点击查看|查看详情|未完待续|展开全文|更多详情|阅读更多|続きを読む|"
    "続きはこちら|もっと見る|"
    "詳しくはこちら|全文を読む|더보기|더 보기|계속 읽기|전체보기|자세히 보기";

struct Lists {
  std::vector<std::string> phrases;
  std::vector<PhraseGroup> groups;
  PhraseAutomaton automaton;

  Lists() {
    add(kAdvertisements, PhraseGroup::kAdvertisement);
    add(kChats, PhraseGroup::kChat);
    add(kPlaceholders, PhraseGroup::kPlaceholder);
    add(kTeasers, PhraseGroup::kTeaser);
    automaton = PhraseAutomaton(phrases);
  }

  void add(std::string_view list, PhraseGroup group) {
    while (!list.empty()) {
      const std::size_t bar = std::min(list.find('|'), list.size());
      phrases.emplace_back(list.substr(0, bar));
      groups.push_back(group);
      list.remove_prefix(std::min(bar + 1, list.size()));
    }
  }
};

const Lists& lists() {
  static const Lists built;
  return built;
}

}  // namespace

PhraseCounts count_phrases(std::string_view text) {
  const Lists& known = lists();
  PhraseCounts out;
  std::vector<std::uint32_t> seen;
  std::array<std::size_t, static_cast<std::size_t>(PhraseGroup::kCount)> covered{};
  known.automaton.scan(text, [&](const PhraseMatch& match) {
    const auto group = static_cast<std::size_t>(known.groups[match.phrase]);
    // Of overlapping phrases one counts.
    if (match.begin < covered[group]) return;
    covered[group] = match.end;
    ++out.hits[group];
    if (out.hits[group] <= 64 && std::find(seen.begin(), seen.end(), match.phrase) == seen.end()) {
      seen.push_back(match.phrase);
      ++out.distinct[group];
      std::string& examples = out.first[group];
      if (examples.size() < 60) {
        if (!examples.empty()) examples += ", ";
        examples += known.phrases[match.phrase];
      }
    }
    if (known.groups[match.phrase] == PhraseGroup::kTeaser && match.end + 60 >= text.size())
      out.teaser_at_end = true;
  });
  return out;
}

}  // namespace tigerbot::data
