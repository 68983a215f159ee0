"""The smallest bank that is whole: one topic and one question."""

TOPICS = "- {id: attention, title: {en: Attention, zh: 注意力}}\n"
QUESTION = r"""id: scaling
number: 4
topic: attention
level: core
title: {en: Scaling, zh: 缩放}
prompt: {en: Why so, zh: 为什么}
short: {en: 'It is $\sqrt{d_k}$.', zh: '是 $\sqrt{d_k}$。'}
key_points:
  - {id: one, core: true, text: {en: One, zh: 一}}
  - {id: two, text: {en: Two, zh: 二}}
  - id: three
    text:
      en: Three
      zh: 三
  - {id: four, text: {en: Four, zh: 四}}
  - {id: five, text: {en: Five, zh: 五}}
  - {id: six, text: {en: Six, zh: 六}}
answer: {en: Because, zh: 因为}
traps:
  - {id: trap, claim: {en: Never, zh: 从不}, why: {en: Often, zh: 常有}}
follow_ups:
  - {id: next, ask: {en: Then, zh: 然后}, answer: {en: That, zh: 那样}}
  - {id: after, ask: {en: After, zh: 之后}, answer: {en: This, zh: 这样}}
  - {id: last, ask: {en: Last, zh: 最后}, answer: {en: Nothing, zh: 没有了}}
choices:
  - id: which
    ask: {en: Which one, zh: 哪个}
    options:
      - {text: {en: This, zh: 这个}, why: {en: So, zh: 对}, right: true}
      - {text: {en: That, zh: 那个}, why: {en: Wrong, zh: 错}}
  - id: whose
    ask: {en: Whose, zh: 谁的}
    options:
      - {text: {en: Mine, zh: 我的}, why: {en: Indeed, zh: 没错}, right: yes}
      - {text: {en: Yours, zh: 你的}, why: {en: Not so, zh: 不对}}
recall:
  - {id: a, ask: {en: A, zh: 甲}, answer: {en: a, zh: 甲}}
  - {id: b, ask: {en: B, zh: 乙}, answer: {en: b, zh: 乙}}
  - {id: c, ask: {en: C, zh: 丙}, answer: {en: c, zh: 丙}}
demos:
  - {id: demo, look_for: {en: Look, zh: 看}}
sources:
  - id: paper
    authors: A. Author
    title: Paper
    year: 2017
    url: https://example.org
    supports: [one, trap, next]
"""
