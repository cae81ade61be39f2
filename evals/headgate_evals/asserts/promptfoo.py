"""Names of assertion types that users may know from promptfoo, for errors that help."""

from __future__ import annotations

BASE_TYPES = frozenset(
    {
        "equals",
        "contains",
        "contains-all",
        "contains-any",
        "icontains",
        "icontains-all",
        "icontains-any",
        "starts-with",
        "regex",
        "levenshtein",
        "word-count",
        "contains-html",
        "is-html",
        "contains-json",
        "is-json",
        "contains-sql",
        "is-sql",
        "contains-xml",
        "is-xml",
        "bleu",
        "gleu",
        "meteor",
        "rouge-n",
        "cost",
        "latency",
        "finish-reason",
        "perplexity",
        "perplexity-score",
        "is-refusal",
        "guardrails",
        "is-valid-function-call",
        "is-valid-openai-function-call",
        "is-valid-openai-tools-call",
        "tool-call-f1",
        "skill-used",
        "trace-error-spans",
        "trace-span-count",
        "trace-span-duration",
        "trajectory:goal-success",
        "trajectory:step-count",
        "trajectory:tool-args-match",
        "trajectory:tool-sequence",
        "trajectory:tool-used",
        "similar",
        "similar:cosine",
        "similar:dot",
        "similar:euclidean",
        "answer-relevance",
        "context-faithfulness",
        "context-recall",
        "context-relevance",
        "conversation-relevance",
        "factuality",
        "g-eval",
        "llm-rubric",
        "model-graded-closedqa",
        "model-graded-factuality",
        "search-rubric",
        "classifier",
        "moderation",
        "pi",
        "webhook",
        "javascript",
        "python",
        "ruby",
    }
)
"""Its base types, each of which may carry ``not-`` there."""

SPECIAL_TYPES = frozenset({"select-best", "human", "max-score", "assert-set"})
"""Its types that compare answers, ask a person or hold other assertions."""


def is_known(base_type: str) -> bool:
    """Whether promptfoo has a type of this name."""
    redteam = base_type.startswith("promptfoo:redteam:")
    return redteam or base_type in BASE_TYPES or base_type in SPECIAL_TYPES
