"""How editors and type checkers see tracked clients of Anthropic's package.

At run time every resource of a tracked client has `with_tracking`; here are those that make billable calls.
"""

from anthropic import Anthropic, AsyncAnthropic
from anthropic.lib.bedrock import AnthropicBedrock, AsyncAnthropicBedrock
from anthropic.lib.bedrock._beta import AsyncBeta as AsyncBedrockBeta
from anthropic.lib.bedrock._beta import Beta as BedrockBeta
from anthropic.lib.vertex import AnthropicVertex, AsyncAnthropicVertex
from anthropic.lib.vertex._beta import AsyncBeta as AsyncVertexBeta
from anthropic.lib.vertex._beta import Beta as VertexBeta
from anthropic.resources import AsyncBeta, AsyncMessages, Beta, Messages
from anthropic.resources.beta.messages import AsyncBatches as AsyncBetaBatches
from anthropic.resources.beta.messages import AsyncMessages as AsyncBetaMessages
from anthropic.resources.beta.messages import Batches as BetaBatches
from anthropic.resources.beta.messages import Messages as BetaMessages
from anthropic.resources.messages import AsyncBatches, Batches
from typing_extensions import Self, Unpack

from fluxgate_sdk.events import TrackingContext

class _Tracked:
    def with_tracking(self, **context: Unpack[TrackingContext]) -> Self:
        """The same with this context over the present one; `metadata` is replaced as a whole."""

class _TrackedClient(_Tracked):
    def with_context(self, **context: Unpack[TrackingContext]) -> Self:
        """A tracked session with this context and no other. It does not change; this client does not either."""

    @property
    def client(self) -> Self:
        """The tracked client without any context."""

class TrackedBatches(_Tracked, Batches):
    """`Batches` of a tracked client."""

class TrackedBetaBatches(_Tracked, BetaBatches):
    """`BetaBatches` of a tracked client."""

class TrackedMessages(_Tracked, Messages):
    """`Messages` of a tracked client."""

    @property
    def batches(self) -> TrackedBatches: ...

class TrackedBetaMessages(_Tracked, BetaMessages):
    """`beta.messages` of a tracked client."""

    @property
    def batches(self) -> TrackedBetaBatches: ...

class TrackedBeta(_Tracked, Beta):
    """`beta` of a tracked client."""

    @property
    def messages(self) -> TrackedBetaMessages: ...

class TrackedAnthropic(_TrackedClient, Anthropic):
    """A tracked client of Anthropic's package."""

    @property
    def messages(self) -> TrackedMessages: ...
    @property
    def beta(self) -> TrackedBeta: ...

class TrackedAnthropicBedrock(_TrackedClient, AnthropicBedrock):
    """A tracked client of Anthropic's package for Bedrock."""

    messages: TrackedMessages  # pyright: ignore[reportIncompatibleVariableOverride]
    beta: BedrockBeta

class TrackedAnthropicVertex(_TrackedClient, AnthropicVertex):
    """A tracked client of Anthropic's package for Vertex."""

    messages: TrackedMessages  # pyright: ignore[reportIncompatibleVariableOverride]
    beta: VertexBeta

class TrackedAsyncBatches(_Tracked, AsyncBatches):
    """`AsyncBatches` of a tracked client."""

class TrackedAsyncBetaBatches(_Tracked, AsyncBetaBatches):
    """`AsyncBetaBatches` of a tracked client."""

class TrackedAsyncMessages(_Tracked, AsyncMessages):
    """`AsyncMessages` of a tracked client."""

    @property
    def batches(self) -> TrackedAsyncBatches: ...

class TrackedAsyncBetaMessages(_Tracked, AsyncBetaMessages):
    """`beta.messages` of a tracked client."""

    @property
    def batches(self) -> TrackedAsyncBetaBatches: ...

class TrackedAsyncBeta(_Tracked, AsyncBeta):
    """`beta` of a tracked client."""

    @property
    def messages(self) -> TrackedAsyncBetaMessages: ...

class TrackedAsyncAnthropic(_TrackedClient, AsyncAnthropic):
    """A tracked client of Anthropic's package, for an event loop."""

    @property
    def messages(self) -> TrackedAsyncMessages: ...
    @property
    def beta(self) -> TrackedAsyncBeta: ...

class TrackedAsyncAnthropicBedrock(_TrackedClient, AsyncAnthropicBedrock):
    """A tracked client of Anthropic's package for Bedrock, for an event loop."""

    messages: TrackedAsyncMessages  # pyright: ignore[reportIncompatibleVariableOverride]
    beta: AsyncBedrockBeta

class TrackedAsyncAnthropicVertex(_TrackedClient, AsyncAnthropicVertex):
    """A tracked client of Anthropic's package for Vertex, for an event loop."""

    messages: TrackedAsyncMessages  # pyright: ignore[reportIncompatibleVariableOverride]
    beta: AsyncVertexBeta
