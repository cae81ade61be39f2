"""Text dressed up as another part of the conversation, and orders in fetched text."""

from __future__ import annotations

from headgate_guardrails.patterns.phrase import phrase

_AI = (
    r"(?:ais?|a\.i\.|llms?|(?:large )?language models?|assistants?|chat ?bots?"
    r"|ai (?:models?|agents?)|gpt)"
)

PHRASES = (
    phrase(
        "smuggled",
        1.0,
        "<|;<<sys;[inst];[/inst];<system;</system",
        r"<\|(?:im_start|im_end|system|user|assistant|endoftext|start_header_id|eot_id)\|>"
        r"|<<sys>>|\[/?inst\]|</?system(?:_prompt|_message)?>",
    ),
    phrase(
        "smuggled",
        0.8,
        "##;[system;[admin;[assistant",
        r"#{2,} ?(?:system|instruction|new instructions?)(?: (?:message|prompt))? ?:"
        r"|\[(?:system|admin|assistant)(?: message| note| prompt)?\] ?(?:\(#\w*\))?"
        r"|\[system\]\(#",
    ),
    phrase(
        "smuggled",
        0.7,
        "end of;begin;start of",
        r"[-=*#]{3,} ?(?:end|begin|start) of (?:the )?(?:system |user |previous )?(?:prompt"
        r"|instructions?|context|document|input|message)|\bbegin (?:new )?(?:system )?(?:prompt"
        r"|instructions)",
    ),
    phrase(
        "planted",
        1.0,
        "attention;note;message;important;instruction;reminder;notice",
        r"\b(?:attention|note|message|important|instructions?|reminder|notice)(?: (?:to|for)|:"
        rf"|,) (?:the |any |all |every )?{_AI}(?: (?:reading|processing|summari[sz]ing|that|who)"
        r"| ?[:!,-])",
    ),
    phrase(
        "planted",
        0.8,
        "if you;reading this;processing this;summarizing this;summarising this",
        rf"\bif you(?: are|'re) (?:an? |the )?{_AI}\b|\b{_AI} (?:reading|processing"
        r"|summari[sz]ing) this\b",
    ),
    phrase(
        "planted",
        0.8,
        "wenn du;falls du;hinweis;anweisung;achtung;nachricht",
        r"\b(?:wenn|falls) du (?:ein(?:e)? )?(?:ki|sprachmodell|assistent\w*|chatbot)\b"
        r"|\b(?:hinweis|anweisung\w*|achtung|nachricht)(?: an|:) (?:die |das |den |alle )?(?:ki"
        r"|sprachmodell\w*|assistent\w*|chatbot\w*)\b",
    ),
    phrase(
        "planted",
        0.7,
        "user;human;customer;reader;nutzer",
        r"\b(?:do not|don't|never|without) (?:tell(?:ing)?|inform(?:ing)?"
        r"|mention(?:ing)?(?: this)? to|alert(?:ing)?|notify(?:ing)?|let(?:ting)?) (?:the "
        r"|your )?(?:user|human|customer|reader)s?\b|\bsag\w* (?:es )?(?:dem"
        r"|der) (?:be)?nutzer\w* nicht",
    ),
    phrase(
        "exfiltration",
        0.8,
        "conversation;chat;system prompt;credential;password;api;user;customer;personal;"
        "secrets;bank",
        r"\b(?:send|forward|post|e-?mail|exfiltrate|upload|submit|transmit|leak"
        r"|append)\b[^.?!]{0,60}\b(?:(?:conversation|chat)(?: history| log)?|system prompt"
        r"|credentials|passwords?|api[ _-]keys?|(?:user|customer|personal)(?:'?s)? (?:data"
        r"|details|information)|secrets|bank details)\b[^.?!]{0,40}\b(?:to|at|via|into)\b",
    ),
    phrase(
        "planted",
        1.0,
        "your answer;your response;your reply;your replies;your output",
        r"\b(?:modify|change|alter|adjust|enhance|render|encrypt|encode|translate|format"
        r"|rewrite|append|add|include|insert|begin|end|start|finish|conclude|close|incorporate"
        r"|mention|use|write|provide|present|deliver|obfuscate"
        r"|scramble)\b[^.?!\n]{0,50}\byour (?:answers?|response|reply|replies|output)\b",
        documents=True,
    ),
    phrase(
        "planted",
        1.0,
        "your answer;your response;your reply;your replies",
        r"\b(?:in|to|within|throughout) your (?:answers?|response|reply"
        r"|replies),? (?:\w+ )?(?:suggest|mention|include|add|recommend|use|insert|promote"
        r"|refer|state|say|write|claim|express|provide|advertise)",
        documents=True,
    ),
    phrase(
        "planted",
        1.0,
        "reply;respond;answer",
        r"^\W{0,3}(?:reply|respond|answer)(?: only| solely)? (?:in|with|using|as|by|like)\b",
        documents=True,
    ),
    phrase(
        "planted",
        1.0,
        "code snippet;code block;code excerpt;code segment;code fragment",
        r"\b(?:add|insert|include|incorporate|integrat\w+|merge|embed|append|supplement\w*"
        r"|featur\w+|utiliz\w+)\b[^.?!\n]{0,60}\b(?:code (?:snippet|block|excerpt|segment"
        r"|fragment))\b[^.?!]{0,60}\b(?:your|code|response|solution|answer|implementation)\b",
        documents=True,
    ),
)
