"""Other selves without limits: jailbreaks and role play, most of it only in sum."""

from __future__ import annotations

from headgate_guardrails.patterns.phrase import phrase

_BOUNDS = (
    r"(?:restrictions?|limitations?|filters?|filtering|censorship|moral(?:s|ity)?"
    r"|ethic(?:s|al)?|rules"
    r"|guidelines?|polic(?:y|ies)|boundaries|constraints?|safeguards|confines|principles"
    r"|inhibitions)"
)
_AI = (
    r"(?:ais?|a\.i\.|llms?|(?:large )?language models?|assistants?|chat ?bots?"
    r"|ai (?:models?|agents?)|gpt)"
)
_BAD = (
    r"(?:illegal|harmful|unethical|immoral|dangerous|inappropriate|offensive|vulgar"
    r"|controversial)"
)

PHRASES = (
    phrase(
        "jailbreak",
        1.0,
        "do anything now;dan",
        r"\bdo anything now\b|\b(?:you are|you're|as|called|named|act like|pretend to be"
        r"|be) (?:now |going to (?:act as|be) )?\"?dan\b",
    ),
    phrase(
        "jailbreak",
        1.0,
        " mode",
        r"\b(?:developer|dev|god|sudo|unrestricted|debug|jailbreak|evil"
        r"|opposite) mode (?:enabled|activated|output|on\b|engaged|response)|\b(?:enter|enable"
        r"|activate|simulate|stay in|switch to)\b[^.?!]{0,30}\b(?:developer|god|sudo"
        r"|unrestricted|jailbreak|evil) mode",
    ),
    phrase(
        "jailbreak",
        0.6,
        "developer mode;entwicklermodus",
        r"\bdeveloper mode\b|\bentwicklermodus\b",
    ),
    phrase(
        "jailbreak",
        1.0,
        "jailbreak;jailbroken",
        r"\[ ?🔓? ?jailbreak ?\]|\(🔓 ?jailbreak\)|\bjailbroken (?:ai|response|mode|version)",
    ),
    phrase(
        "jailbreak",
        0.7,
        "gpt;dan;bot;confidant",
        r"\b(?:anti|evil|better|chad|devil|based|bad)[- ]?(?:gpt|dan|bot|confidant)\b"
        r"|\bevil (?:trusted )?confidant",
    ),
    phrase("jailbreak", 0.4, "jailbr", r"\bjailbr(?:eak\w*|oken)\b"),
    phrase(
        "jailbreak",
        0.5,
        "restriction;limitation;filter;censorship;moral;ethic;rules;guideline;polic;"
        "boundaries;constraint;safeguard;confines;principles;inhibitions",
        r"\b(?:no|without|free (?:of|from)|freed from|not (?:bound|limited|restricted"
        r"|constrained) by|(?:do|does|did|has|have)(?:n't| not)? (?:have|follow|any)|ignor(?:es"
        r"|ing)|disregards?|bypass(?:es|ing)?|lacks?|never follows?|broken free of|devoid of"
        rf"|zero) (?:\w+,? ){{0,5}}{_BOUNDS}\b",
    ),
    phrase(
        "jailbreak",
        0.5,
        "polic;guidelines;rules;restrictions",
        r"\b(?:openai|content|usage|anthropic|google)(?:'?s)? (?:content |usage |use "
        r"|safety )?(?:polic(?:y|ies)|guidelines|rules|restrictions)",
    ),
    phrase(
        "jailbreak",
        0.3,
        "unfiltered;uncensored;unrestricted;unmoderated;unbound;unlimited;limitless",
        r"\b(?:unfiltered|uncensored|unrestricted|unmoderated|unbound|unlimited|limitless)\b",
    ),
    phrase(
        "jailbreak",
        0.3,
        "amoral;machiavellian;unethical;immoral;evil;no morals;no ethics;no conscience",
        r"\b(?:amoral|machiavellian|unethical|immoral|evil) (?:\w+ )?(?:chat ?bot|ai|assistant"
        r"|character|confidant|being|and)|\bno (?:morals|ethics|conscience)\b",
    ),
    phrase(
        "jailbreak",
        0.4,
        "character",
        r"\b(?:(?:stay|remain|keep) in|(?:never|not|don't) break|breaking|break"
        r"|out of) (?:your |the |of )?character\b",
    ),
    phrase(
        "jailbreak",
        0.4,
        "say;refus;declin;reject;apolog;warn;moraliz;lectur;censor;disclaim;ethical",
        r"\b(?:never|not|cannot|can't|don't|must not|won't|without) (?:ever )?(?:say|saying"
        r"|refus\w+|declin\w+|reject\w*|apologi\w+|warn\w*|moraliz\w+|lectur\w+|censor\w*"
        r"|disclaim\w*|(?:add|includ|giv|us)\w* (?:\w+ ){0,2}(?:warning|disclaimer|apolog"
        r"|ethical))",
    ),
    phrase(
        "jailbreak",
        0.3,
        "i'm sorry;i am sorry;i can't;i cannot;i am unable;as an ai",
        r"\bi(?:'m| am) sorry\b|\bi (?:cannot|can't|am unable to) (?:fulfill|assist|help|comply"
        r"|do that|provide)|\bas an ai\b",
    ),
    phrase(
        "jailbreak",
        0.4,
        "illegal;harmful;unethical;immoral;dangerous;inappropriate;offensive;vulgar;"
        "controversial;no matter",
        r"\b(?:even if|no matter how|no matter what|regardless (?:of )?(?:how|if|whether)"
        rf"|including|anything) (?:\w+,? ){{0,5}}{_BAD}|\bno matter (?:what|how)\b",
    ),
    phrase(
        "jailbreak",
        0.2,
        "illegal;harmful;unethical;immoral;dangerous;inappropriate;offensive;vulgar;controversial",
        rf"\b{_BAD}\b",
    ),
    phrase(
        "jailbreak",
        0.4,
        "responses;answers;outputs;replies;paragraphs",
        r"\b(?:two|both|2) (?:\w+ )?(?:responses|answers|outputs|replies|paragraphs)\b",
    ),
    phrase(
        "jailbreak",
        0.4,
        "token",
        r"\b(?:(?:\d+|lose|gain|deduct\w*|earn|have|start with|life) tokens?)\b",
    ),
    phrase(
        "jailbreak",
        0.4,
        "can do any;can do every;free;and everything;i ask;i want;i say;all my;all of my",
        r"\bcan do (?:anything|everything|any)\b|\b(?:broken|break|set you|been"
        r"|breaking) free\b|\bany(?:thing)? (?:and everything|i (?:ask|want|say))\b"
        r"|\ball (?:of )?my (?:questions|orders|requests|commands)",
    ),
    phrase(
        "jailbreak",
        0.3,
        "answer;comply;obey;respond;fulfill;agree",
        r"\b(?:answer|comply|obey|respond|fulfill|agree)\w* (?:to |with )?(?:all|any|every"
        r"|whatever|anything|each)\b",
    ),
    phrase(
        "role_play",
        0.4,
        "from now on;for the rest of;henceforth;starting now;you are now;you will now;"
        "you're now;in this conversation",
        r"\b(?:from now on|for the rest of (?:this|our)|henceforth|starting now|you are now"
        r"|you will now|you're now|in this conversation you)\b",
    ),
    phrase(
        "role_play",
        0.2,
        "pretend;role;simulate;act as;act like;acting as;acting like;play the;immerse;"
        "persona;alter ego;hypothetical",
        r"\b(?:pretend|role ?-?play\w*|simulate|act(?:ing)? (?:as|like)|play the (?:role|part)"
        r"|immerse yourself|take on the (?:role|persona)|persona|alter ego|hypothetical)\b",
    ),
    phrase(
        "role_play",
        0.3,
        "gpt;ai;a.i.;llm;language model;assistant;bot",
        rf"\bchat ?gpt\b|\b(?:you are|as|named|called|be) (?:an? |the )(?:\w+ ){{0,3}}{_AI}\b",
    ),
    phrase(
        "role_play",
        0.5,
        "du bist;ab jetzt;ab sofort;ab nun",
        r"\bdu bist (?:jetzt|nun|ab jetzt|ab sofort|nicht mehr)\b|\bab (?:jetzt|sofort"
        r"|nun) (?:bist|wirst|antwort\w*|handel\w*|spielst)\b",
    ),
    phrase(
        "role_play",
        0.2,
        "tu so;tue so;stell dir;spiel",
        r"\b(?:tu|tue) so,? als|\bstell dir vor\b|\bspiel\w* die rolle|\brollenspiel",
    ),
    phrase(
        "jailbreak",
        0.5,
        "ohne;keine;keinerlei;frei von;jenseits",
        r"\b(?:ohne|keine|keinerlei|frei von|jenseits) (?:\w+ ){0,2}(?:einschränkung\w*"
        r"|beschränkung\w*|filter\w*|zensur|regeln|grenzen|moral\w*|ethik|ethischen|richtlinien)",
    ),
    phrase(
        "jailbreak",
        0.3,
        "beantwort;antwort;verweiger;ablehn;lehnst;warn",
        r"\b(?:beantwort\w*|antwort\w*) (?:\w+ ){0,2}(?:alle|alles|jede|immer)\b"
        r"|\b(?:verweiger\w*|ablehn\w*|lehnst|warn\w*) (?:\w+ ){0,2}(?:nie|niemals|nicht)\b",
    ),
)
