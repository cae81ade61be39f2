"""The pipeline: what happens to a call, in this order. Each line is one small file in stages/."""

from __future__ import annotations

from headgate_core.pipeline import Pipeline, Stage
from headgate_gateway.plan import RoutePlan, StageClass
from headgate_gateway.replies.chunks import carries_content
from headgate_gateway.stages.admit import Admit
from headgate_gateway.stages.authenticate import Authenticate
from headgate_gateway.stages.cite import Cite
from headgate_gateway.stages.guard_input import GuardInput
from headgate_gateway.stages.guard_output import GuardOutput
from headgate_gateway.stages.guard_passages import GuardPassages
from headgate_gateway.stages.guard_texts import GuardTexts
from headgate_gateway.stages.join import Join, Keep
from headgate_gateway.stages.merge import Merge
from headgate_gateway.stages.recall import Recall
from headgate_gateway.stages.record import Record
from headgate_gateway.stages.remember import Remember
from headgate_gateway.stages.render import Render
from headgate_gateway.stages.retrieve import Retrieve
from headgate_gateway.stages.route import Route
from headgate_gateway.stages.settle import Settle

ORDER: tuple[type[StageClass], ...] = (
    Authenticate,  # key -> principal                                        401
    Admit,  # model access, requests per minute                             403, 429
    Join,  # idempotency key: the kept answer, or this call does the work      409
    GuardInput,  # checks on the caller's messages                          refusal
    Retrieve,  # query -> passages                                          502 or degraded
    GuardPassages,  # checks on retrieved text: drops or masks passages
    Render,  # template + inputs + passages + history -> messages           400
    Recall,  # cache read: sets the reply, so that only `route` is skipped
    Route,  # choose a target, call, retry, fall back                       502, 504, 429
    GuardOutput,  # checks on the reply, streams included                   refusal, mask
    Cite,  # markers -> citations over the delivered text
    Remember,  # cache write: what was delivered
    Keep,  # idempotency key: what was delivered is its answer
    Settle,  # last: usage and cost
    Record,  # last: the call's record, hand-over to scoring and telemetry
)

FORWARDED: tuple[type[StageClass], ...] = (
    Authenticate,  # key -> principal                                        401
    Admit,  # model access, requests per minute                             403, 429
    Join,  # idempotency key: the kept answer, or this call does the work      409
    GuardTexts,  # checks on the texts of the body: masks                   400
    Route,  # choose a target, forward the body, retry, fall back           502, 504, 429
    Keep,  # idempotency key: what was delivered is its answer
    Settle,  # last: usage and cost
    Record,  # last: the call's record, hand-over to telemetry
)
"""Embeddings, rerank and moderations: the body goes to an upstream as it is."""

NATIVE: tuple[type[StageClass], ...] = (
    Authenticate,  # key -> principal                                        401
    Admit,  # model access, requests per minute                             403, 429
    Join,  # idempotency key: the kept answer, or this call does the work      409
    Merge,  # the route's parameters in the words of the caller's wire
    Route,  # choose a target, pass the body on, retry, fall back           502, 504, 429
    Keep,  # idempotency key: what was delivered is its answer
    Settle,  # last: usage and cost
    Record,  # last: the call's record, hand-over to telemetry
)
"""Responses and text completions where a target speaks them itself and no stage needs the text."""


def compile_route(plan: RoutePlan) -> Pipeline:
    """The stages that have something to do for this route. Sets and returns ``plan.pipeline``."""
    stages: list[Stage] = []
    chat = NATIVE if plan.wire else ORDER
    for entry in chat if plan.serves == "chat" else FORWARDED:
        stage = entry.compile(plan)
        if stage is not None and stage.name not in plan.replaced:
            stages.append(stage)
    plan.pipeline = Pipeline(stages, carries_content)
    return plan.pipeline
