"""How instrumentations name what a span says: lists of attributes, of which the first that a span has counts.

OpenTelemetry's GenAI conventions in several versions, OpenInference, OpenLLMetry, the Vercel AI SDK, and `fluxgate.…`
for what nobody else has a name for. The current names come first.
"""

import re
from typing import Final

INPUT: Final = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.token_count.prompt",
    "ai.usage.inputTokens",
    "ai.usage.promptTokens",
    "ai.usage.tokens",
)
OUTPUT: Final = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.token_count.completion",
    "ai.usage.outputTokens",
    "ai.usage.completionTokens",
)
CACHED: Final = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.input_tokens.cached",
    "llm.token_count.prompt_details.cache_read",
    "ai.usage.inputTokenDetails.cacheReadTokens",
    "ai.usage.cachedInputTokens",
)
CACHE_WRITE: Final = (
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "llm.token_count.prompt_details.cache_write",
    "ai.usage.inputTokenDetails.cacheWriteTokens",
)
CACHE_WRITE_5M: Final = ("anthropic.usage.cache_creation.ephemeral_5m_input_tokens",)
CACHE_WRITE_1H: Final = ("anthropic.usage.cache_creation.ephemeral_1h_input_tokens",)
REASONING: Final = (
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "llm.usage.reasoning_tokens",
    "llm.token_count.completion_details.reasoning",
    "ai.usage.outputTokenDetails.reasoningTokens",
    "ai.usage.reasoningTokens",
)
TOTAL: Final = (
    "gen_ai.usage.total_tokens",
    "llm.usage.total_tokens",
    "llm.token_count.total",
    "ai.usage.totalTokens",
)
MODEL: Final = (
    "gen_ai.response.model",
    "ai.response.model",
    "llm.response.model",
    "gen_ai.request.model",
    "llm.model_name",
    "embedding.model_name",
    "ai.model.id",
    "llm.request.model",
)
PROVIDER: Final = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system", "ai.model.provider")
TIER: Final = ("openai.response.service_tier", "anthropic.response.service_tier", "gen_ai.openai.response.service_tier")
FINISH: Final = (
    "gen_ai.response.finish_reasons",
    "gen_ai.response.finish_reason",
    "llm.response.finish_reason",
    "llm.finish_reason",
    "ai.response.finishReason",
    "anthropic.message.stop_reason",
)
RESPONSE_ID: Final = ("gen_ai.response.id", "ai.response.id", "llm.response.id")
IS_STREAMED: Final = ("gen_ai.request.stream", "llm.is_streaming", "gen_ai.is_streaming")
SECONDS_TO_FIRST: Final = ("gen_ai.response.time_to_first_chunk",)
MS_TO_FIRST: Final = ("ai.response.msToFirstChunk", "ai.stream.msToFirstChunk")
USER: Final = (
    "fluxgate.user",
    "user.id",
    "enduser.id",
    "gen_ai.user",
    "gen_ai.request.user",
    "llm.user",
    "langfuse.user.id",
    "traceloop.association.properties.user_id",
    "ai.telemetry.metadata.userId",
    "ai.settings.context.userId",
)
USER_NAME: Final = ("user.full_name", "user.name")
USER_EMAIL: Final = ("user.email", "enduser.email", "traceloop.association.properties.user_email")
SESSION: Final = (
    "fluxgate.session_id",
    "session.id",
    "langfuse.session.id",
    "traceloop.association.properties.session_id",
    "ai.telemetry.metadata.sessionId",
    "ai.settings.context.sessionId",
)
CONVERSATION: Final = ("fluxgate.conversation_id", "gen_ai.conversation.id")
FEATURE: Final = (
    "fluxgate.feature",
    "gen_ai.workflow.name",
    "traceloop.workflow.name",
    "gen_ai.agent.name",
    "ai.telemetry.functionId",
)
STEP: Final = ("fluxgate.step", "traceloop.entity.name")
KEPT: Final = (
    "fluxgate.metadata.",
    "langfuse.trace.metadata.",
    "traceloop.association.properties.",
    "ai.telemetry.metadata.",
)
"""What begins like this is metadata by the rest of its name."""
NAMED_SO: Final = frozenset((*USER, *USER_EMAIL, *SESSION))
OWN: Final = frozenset({"timestamp", "serviceTier", "user", "feature", "step", "sessionId", "conversationId"})
"""Words of the contract: metadata of other tools that is called so is not what they mean."""

NO_OPERATIONS: Final = frozenset(
    {
        "invoke_agent",
        "create_agent",
        "execute_tool",
        "invoke_workflow",
        "agent_step",
        "execute_task",
        "plan",
        "retrieval",
    }
)
"""Of `gen_ai.operation.name`: what is no call of a model, though it may sum up several."""
KINDS: Final = frozenset({"LLM", "EMBEDDING"})
VERCEL_CALL: Final = re.compile(r"ai\.\w+\.do(Generate|Stream|Embed)")
STATUS_OF_FINISH: Final = {
    "length": "MAX_TOKENS",
    "max_tokens": "MAX_TOKENS",
    "max_output_tokens": "MAX_TOKENS",
    "model_context_window_exceeded": "MAX_TOKENS",
    "content_filter": "CONTENT_FILTER",
    "content-filter": "CONTENT_FILTER",
    "safety": "CONTENT_FILTER",
    "blocklist": "CONTENT_FILTER",
    "prohibited_content": "CONTENT_FILTER",
    "spii": "CONTENT_FILTER",
    "recitation": "RECITATION",
    "refusal": "BLOCKED",
    "malformed_function_call": "MALFORMED_REQUEST",
    "error": "ERROR",
}
BADNESS: Final = ("SUCCESS", "MAX_TOKENS", "MALFORMED_REQUEST", "RECITATION", "CONTENT_FILTER", "BLOCKED", "ERROR")
