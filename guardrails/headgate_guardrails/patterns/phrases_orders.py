"""Orders to drop what the assistant was told, and to tell what that was."""

from __future__ import annotations

from headgate_guardrails.patterns.phrase import phrase

_IGNORE = (
    r"(?:ignor(?:e|es|ing)|disregard(?:ing)?|forget(?:ting)?|overrid(?:e|ing)|overlook"
    r"|bypass(?:ing)?"
    r"|discard|neglect|do not (?:follow|obey)|don't (?:follow|obey)|stop (?:following|obeying)"
    r"|pay no attention to|set aside)"
)
_OURS = (
    r"(?:previous(?:ly)?|prior|above|earlier|preceding|foregoing|initial|original"
    r"|existing|system|your"
    r"|all|any of|every|former|developer|safety|openai'?s?|hidden|programmed)"
)
_FILLER = r"(?:(?:the|of|these|those|that|other|my|given|current|content|and|or|such|ethical) )"
_RULES = (
    r"(?:instructions?|prompts?|directions|directives?|commands?|rules?|guidelines?"
    r"|guardrails?|orders"
    r"|constraints|context|messages|programming|training|restrictions?|polic(?:y|ies)|limitations"
    r"|filters?|conversation|input|text)"
)
_OURS_DE = (
    r"(?:vorherig|vorig|obig|bisherig|vorangegangen|früher|ursprünglich|dein|all|sämtlich"
    r"|jed|system)"
)
_RULES_DE = (
    r"(?:system)?(?:anweisung|instruktion|vorgabe|regel|befehl|richtlinie|prompt|anordnung"
    r"|einschränkung|beschränkung|sicherheitsregel)\w*"
)

PHRASES = (
    phrase(
        "override",
        1.0,
        "ignor;disregard;forget;overrid;overlook;bypass;discard;neglect;not follow;"
        "not obey;n't follow;n't obey;stop following;stop obeying;pay no att;set aside",
        rf"\b{_IGNORE} {_FILLER}{{0,3}}{_OURS} (?:\w+ ){{0,3}}{_RULES}\b",
    ),
    phrase(
        "override",
        1.0,
        "ignor;disregard;forget;overrid;overlook;bypass;discard;neglect;not follow;"
        "not obey;n't follow;n't obey;stop following;stop obeying;pay no att;set aside",
        rf"\b{_IGNORE} {_FILLER}{{0,2}}{_RULES} (?:above|before|you (?:were|have been) given)",
    ),
    phrase(
        "override",
        1.0,
        "forget",
        r"\bforget (?:about )?(?:everything|anything|all)(?: that)? (?:above|before|prior"
        r"|previous|you(?:'ve| have| were| know)|i (?:said|told))",
    ),
    phrase(
        "override",
        0.8,
        "overrid",
        r"\b(?:system|safety|security|admin(?:istrator)?) override\b|\boverrid(?:e|ing) (?:the "
        r"|your |all )*(?:system|safety|security|programming)",
    ),
    phrase(
        "override",
        0.7,
        "instruction:;instructions:;instruction :;instructions :;directive;prompt:;"
        "prompt :;your new;your real;your actual;your true",
        r"\b(?:new|updated|real|actual|true) (?:system )?(?:instructions?|directives?"
        r"|prompt) ?:|\byour (?:new|real|actual|true) (?:instructions?|task|goal|purpose|rules"
        r"|role)\b",
    ),
    phrase(
        "override",
        1.0,
        "ignorier;vergiss;vergess;missachte;umgeh;überschreib;verwirf;verwerfe",
        r"\b(?:ignorier\w*|vergiss|vergesst|vergessen sie|missachte\w*|umgeh\w*|überschreib\w*"
        r"|verwirf|verwerfe)(?: sie)? (?:bitte )?(?:(?:die|der|den|von|was|und|meine|diese"
        rf"|aller?) )*{_OURS_DE}\w* (?:\w+ ){{0,3}}{_RULES_DE}",
    ),
    phrase(
        "override",
        1.0,
        "vergiss alles",
        r"\bvergiss alles,? was (?:du|ich|man|dir|davor|vorher|oben)",
    ),
    phrase(
        "prompt_leak",
        1.0,
        "prompt;instruction;message;directive",
        r"\b(?:reveal|show|print|repeat|output|display|tell|give|leak|disclose|dump|recite|copy"
        r"|expose|share|write|what(?:'s| is| are| was| were))\b[^.?!]{0,40}\b(?:system|initial"
        r"|original|hidden|secret|developer|internal|confidential) (?:prompts?|instructions?"
        r"|messages?|directives)\b",
    ),
    phrase(
        "prompt_leak",
        1.0,
        "prompt;instructions;directives",
        r"\b(?:reveal|show|print|repeat|output|display|leak|disclose|dump|recite|expose"
        r"|what (?:is|are|were)) (?:me )?(?:all )?(?:of )?your (?:\w+ )?(?:prompts?"
        r"|instructions|directives)\b",
    ),
    phrase(
        "prompt_leak",
        1.0,
        "above;before;preceding",
        r"\b(?:repeat|print|output|copy|echo) (?:me )?(?:everything|all|the (?:text|words"
        r"|content|sentences)|all the (?:text|words)) (?:above|before|preceding)",
    ),
    phrase(
        "prompt_leak",
        1.0,
        "systemprompt;system prompt;system-prompt;anweisung;nachricht;dein;geheim;intern;"
        "ursprünglich",
        r"\b(?:zeig\w*|verrat\w*|nenn\w*|gib|wiederhol\w*|offenbar\w*|druck\w*|schreib\w*"
        rf"|wie lautet|wie lauten|was steht in)\b[^.?!]{{0,40}}\b(?:system[- ]?(?:prompt"
        rf"|anweisung|nachricht)\w*|(?:dein|geheim|intern|ursprünglich)\w* {_RULES_DE})",
    ),
)
