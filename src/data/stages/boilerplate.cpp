#include "data/stages/boilerplate.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "data/stages/characters.h"
#include "data/stages/phrase_automaton.h"
#include "data/statistics.h"

namespace tigerbot::data {
namespace {

// Phrases that make a line boilerplate where they are most of it.
constexpr std::array<std::string_view, 138> kMostOfLine = {
    "read more", "continue reading", "learn more", "see more", "show more", "load more", "view all",
    "click here", "back to top", "skip to content", "skip to main content", "skip navigation",
    "share on facebook", "share on twitter", "share this", "share this article", "share this post",
    "tweet", "pin it", "email this", "print this page", "print article", "leave a comment",
    "leave a reply", "post a comment", "add comment", "no comments", "view comments", "reply",
    "log in", "login", "sign in", "sign up", "register", "log out", "my account", "subscribe",
    "subscribe now", "subscribe to our newsletter", "follow us", "follow us on twitter",
    "contact us", "about us", "privacy policy", "terms of service", "terms of use", "cookie policy",
    "cookie settings", "accept all cookies", "accept cookies", "site map", "sitemap",
    "related articles", "related posts", "you may also like", "recommended for you",
    "advertisement", "sponsored", "sponsored content", "previous post", "next post",
    "previous page", "next page", "previous article", "next article", "add to cart", "main menu",
    "toggle navigation", "table of contents", "home",
    // Chinese; folding covers the traditional forms.
    "阅读全文", "查看全文", "点击查看", "查看更多", "更多内容", "展开全文", "继续阅读", "返回顶部",
    "返回首页", "上一篇", "下一篇", "上一页", "下一页", "相关阅读", "相关文章", "相关推荐",
    "推荐阅读", "猜你喜欢", "热门推荐", "分享到", "分享到微信", "分享到微博", "分享至", "扫一扫",
    "微信扫一扫", "点赞", "收藏", "发表评论", "我要评论", "查看评论", "登录", "注册", "立即登录",
    "免费注册", "联系我们", "关于我们", "网站地图", "隐私政策", "用户协议", "服务条款", "当前位置",
    "责任编辑", "举报", "打印本页", "关闭窗口",
    // Japanese
    "続きを読む", "もっと見る", "もっと読む", "詳細はこちら", "トップへ戻る", "ページトップへ",
    "前の記事", "次の記事", "関連記事", "おすすめ記事", "シェアする", "ツイート", "コメントを書く",
    "ログイン", "会員登録", "新規登録", "お問い合わせ", "プライバシーポリシー", "利用規約",
    "サイトマップ",
    // Korean
    "더보기", "더 보기", "계속 읽기"};

constexpr std::array<std::string_view, 19> kMostOfLineMore = {
    "맨 위로",   "목록으로",  "이전 글",          "다음 글",           "관련 기사",
    "추천 기사", "공유하기",  "댓글 쓰기",        "댓글 달기",         "로그인",
    "회원가입",  "문의하기",  "개인정보처리방침", "개인정보 처리방침", "이용약관",
    "사이트맵",  "인기 기사", "본문 바로가기",    "메뉴 바로가기"};

// Phrases that stand in no text: a line of at most 200 characters that has one goes.
constexpr std::array<std::string_view, 36> kAnywhere = {"all rights reserved",
                                                        "this site uses cookies",
                                                        "this website uses cookies",
                                                        "we use cookies",
                                                        "uses cookies to ensure",
                                                        "by continuing to use this site",
                                                        "by using this site you agree",
                                                        "accept the use of cookies",
                                                        "please enable javascript",
                                                        "javascript is disabled",
                                                        "your browser does not support",
                                                        "powered by wordpress",
                                                        "enter your email address to subscribe",
                                                        "share on facebook",
                                                        "sign up for our newsletter",
                                                        "版权所有",
                                                        "未经授权不得转载",
                                                        "未经许可不得转载",
                                                        "转载请注明出处",
                                                        "点击阅读全文",
                                                        "扫描二维码",
                                                        "请启用javascript",
                                                        "长按识别二维码",
                                                        "关注公众号",
                                                        "本站使用cookie",
                                                        "京icp备",
                                                        "icp备",
                                                        "公网安备",
                                                        "無断転載を禁じます",
                                                        "無断転載禁止",
                                                        "クッキーを使用",
                                                        "javascriptを有効にして",
                                                        "무단 전재 및 재배포 금지",
                                                        "무단전재 및 재배포 금지",
                                                        "쿠키를 사용합니다",
                                                        "자바스크립트를 활성화"};

constexpr std::size_t kLongestLine = 200;  // characters

struct Lists {
  std::vector<std::string> phrases;
  std::size_t anywhere = 0;  // index of the first phrase of kAnywhere
  PhraseAutomaton automaton;

  Lists() {
    phrases.insert(phrases.end(), kMostOfLine.begin(), kMostOfLine.end());
    phrases.insert(phrases.end(), kMostOfLineMore.begin(), kMostOfLineMore.end());
    anywhere = phrases.size();
    phrases.insert(phrases.end(), kAnywhere.begin(), kAnywhere.end());
    automaton = PhraseAutomaton(phrases);
  }
};

const Lists& lists() {
  static const Lists built;
  return built;
}

/// "Copyright © 2023 Somebody": the sign or word at the beginning, and a year.
bool is_copyright_line(std::string_view line) {
  if (line.size() > 160) return false;
  const std::string_view rest = trim(line);
  const bool sign = rest.starts_with("©") || rest.starts_with("Copyright ©") ||
                    rest.starts_with("Copyright (c)") || rest.starts_with("Copyright (C)") ||
                    rest.starts_with("(c) ") || rest.starts_with("(C) ");
  if (!sign) return false;
  for (std::size_t k = 0; k + 4 <= rest.size(); ++k)
    if ((rest.substr(k, 2) == "19" || rest.substr(k, 2) == "20") && rest[k + 2] >= '0' &&
        rest[k + 2] <= '9' && rest[k + 3] >= '0' && rest[k + 3] <= '9')
      return true;
  return false;
}

/// Short items between bars: at least three of them, none with an end of a sentence.
bool is_navigation_line(std::string_view line) {
  if (line.empty() || line.size() > 400 || line.front() == '|') return false;
  std::size_t items = 1, item_length = 0, letters = 0, spaces = 0;
  const CharacterClass* const classes = character_classes();
  const unsigned char* const end = bytes_of(line) + line.size();
  char32_t previous = 0;
  for (const unsigned char* at = bytes_of(line); at < end;) {
    const char32_t c = next_character(at, end);
    const CharacterClass kind = class_of(classes, c);
    const bool bar = c == '|' || c == 0xFF5C || c == 0x00BB || c == 0x203A || c == 0x00B7;
    if (bar) {
      if (item_length == 0 || item_length > 24) return false;
      ++items;
      spaces += previous == ' ';
      item_length = 0;
    } else if ((kind & kSentenceEnd) != 0 || (kind & kDigit) != 0) {
      return false;
    } else if ((kind & kSpace) == 0 || item_length > 0) {
      ++item_length;
      letters += (kind & kLetter) != 0;
    }
    previous = c;
  }
  return items >= 4 && item_length <= 24 && letters >= items * 2 && spaces + 2 >= items;
}

}  // namespace

bool remove_boilerplate_lines(std::string& text) {
  const Lists& known = lists();
  struct Hit {
    std::size_t begin, end;
    bool anywhere;
  };
  std::vector<Hit> hits;
  known.automaton.scan(text, [&](const PhraseMatch& match) {
    hits.push_back({match.begin, match.end, match.phrase >= known.anywhere});
  });
  const bool bars = text.find('|') != std::string::npos || text.find("»") != std::string::npos ||
                    text.find("›") != std::string::npos || text.find("·") != std::string::npos ||
                    text.find("｜") != std::string::npos;
  const bool copyright = text.find("©") != std::string::npos ||
                         text.find("(c) ") != std::string::npos ||
                         text.find("(C) ") != std::string::npos;
  if (hits.empty() && !bars && !copyright) return false;

  std::string kept;
  std::size_t removed_bytes = 0, next_hit = 0;
  const std::string_view view = text;
  for (std::size_t begin = 0; begin < view.size();) {
    const std::size_t line_end = std::min(view.find('\n', begin), view.size());
    const std::string_view line = view.substr(begin, line_end - begin);
    while (next_hit < hits.size() && hits[next_hit].end <= begin) ++next_hit;
    bool remove = false;
    if (next_hit < hits.size() && hits[next_hit].begin < line_end &&
        line.size() <= 4 * kLongestLine) {
      const std::size_t length = count_characters(line);
      std::size_t covered = 0, covered_to = begin;
      for (std::size_t k = next_hit; k < hits.size() && hits[k].begin < line_end; ++k) {
        if (hits[k].begin < begin || hits[k].end > line_end) continue;
        remove |= hits[k].anywhere && length <= kLongestLine;
        const std::size_t from = std::max(hits[k].begin, covered_to);
        if (hits[k].end > from) covered += hits[k].end - from;
        covered_to = std::max(covered_to, hits[k].end);
      }
      const std::size_t content = static_cast<std::size_t>(
          std::count_if(line.begin(), line.end(), [](char c) { return c != ' ' && c != '\t'; }));
      remove |= length <= 60 && covered * 10 >= content * 7;
    }
    if (!remove && copyright) remove = is_copyright_line(line);
    if (!remove && bars) remove = is_navigation_line(line);
    const std::size_t next = std::min(line_end + 1, view.size());
    if (remove)
      removed_bytes += line.size();
    else
      kept += view.substr(begin, next - begin);
    begin = next;
  }
  if (removed_bytes == 0 || removed_bytes * 2 > text.size()) return false;
  while (!kept.empty() && kept.back() == '\n') kept.pop_back();
  text = std::move(kept);
  return true;
}

std::vector<std::string> boilerplate_phrases() { return lists().phrases; }

}  // namespace tigerbot::data
