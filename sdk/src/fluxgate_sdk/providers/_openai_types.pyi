"""How editors and type checkers see tracked clients of OpenAI's package.

At run time every resource of a tracked client has `with_tracking`; here are those that make billable calls.
"""

from __future__ import annotations

from openai import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI
from openai.resources import (
    AsyncAudio,
    AsyncBatches,
    AsyncBeta,
    AsyncChat,
    AsyncCompletions,
    AsyncEmbeddings,
    AsyncImages,
    Audio,
    Batches,
    Beta,
    Chat,
    Completions,
    Embeddings,
    Images,
)
from openai.resources.audio import (
    AsyncSpeech,
    AsyncTranscriptions,
    AsyncTranslations,
    Speech,
    Transcriptions,
    Translations,
)
from openai.resources.chat import AsyncCompletions as AsyncChatCompletions
from openai.resources.chat import Completions as ChatCompletions
from openai.resources.responses import AsyncResponses, Responses
from openai.resources.videos import AsyncVideos, Videos
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

class TrackedChatCompletions(_Tracked, ChatCompletions):
    """`ChatCompletions` of a tracked client."""

class TrackedChat(_Tracked, Chat):
    """`Chat` of a tracked client."""

    @property
    def completions(self) -> TrackedChatCompletions: ...

class TrackedCompletions(_Tracked, Completions):
    """`Completions` of a tracked client."""

class TrackedResponses(_Tracked, Responses):
    """`Responses` of a tracked client."""

class TrackedEmbeddings(_Tracked, Embeddings):
    """`Embeddings` of a tracked client."""

class TrackedImages(_Tracked, Images):
    """`Images` of a tracked client."""

class TrackedSpeech(_Tracked, Speech):
    """`Speech` of a tracked client."""

class TrackedTranscriptions(_Tracked, Transcriptions):
    """`Transcriptions` of a tracked client."""

class TrackedTranslations(_Tracked, Translations):
    """`Translations` of a tracked client."""

class TrackedAudio(_Tracked, Audio):
    """`Audio` of a tracked client."""

    @property
    def speech(self) -> TrackedSpeech: ...
    @property
    def transcriptions(self) -> TrackedTranscriptions: ...
    @property
    def translations(self) -> TrackedTranslations: ...

class TrackedVideos(_Tracked, Videos):
    """`Videos` of a tracked client."""

class TrackedBatches(_Tracked, Batches):
    """`Batches` of a tracked client."""

class TrackedBeta(_Tracked, Beta):
    """`Beta` of a tracked client."""

    @property
    def chat(self) -> TrackedChat: ...

class TrackedOpenAI(_TrackedClient, OpenAI):
    """A tracked client of OpenAI's package."""

    @property
    def chat(self) -> TrackedChat: ...
    @property
    def completions(self) -> TrackedCompletions: ...
    @property
    def responses(self) -> TrackedResponses: ...
    @property
    def embeddings(self) -> TrackedEmbeddings: ...
    @property
    def images(self) -> TrackedImages: ...
    @property
    def audio(self) -> TrackedAudio: ...
    @property
    def videos(self) -> TrackedVideos: ...
    @property
    def batches(self) -> TrackedBatches: ...
    @property
    def beta(self) -> TrackedBeta: ...

class TrackedAzureOpenAI(TrackedOpenAI, AzureOpenAI):
    """A tracked client of OpenAI's package for Azure."""

class TrackedAsyncChatCompletions(_Tracked, AsyncChatCompletions):
    """`AsyncChatCompletions` of a tracked client."""

class TrackedAsyncChat(_Tracked, AsyncChat):
    """`AsyncChat` of a tracked client."""

    @property
    def completions(self) -> TrackedAsyncChatCompletions: ...

class TrackedAsyncCompletions(_Tracked, AsyncCompletions):
    """`AsyncCompletions` of a tracked client."""

class TrackedAsyncResponses(_Tracked, AsyncResponses):
    """`AsyncResponses` of a tracked client."""

class TrackedAsyncEmbeddings(_Tracked, AsyncEmbeddings):
    """`AsyncEmbeddings` of a tracked client."""

class TrackedAsyncImages(_Tracked, AsyncImages):
    """`AsyncImages` of a tracked client."""

class TrackedAsyncSpeech(_Tracked, AsyncSpeech):
    """`AsyncSpeech` of a tracked client."""

class TrackedAsyncTranscriptions(_Tracked, AsyncTranscriptions):
    """`AsyncTranscriptions` of a tracked client."""

class TrackedAsyncTranslations(_Tracked, AsyncTranslations):
    """`AsyncTranslations` of a tracked client."""

class TrackedAsyncAudio(_Tracked, AsyncAudio):
    """`AsyncAudio` of a tracked client."""

    @property
    def speech(self) -> TrackedAsyncSpeech: ...
    @property
    def transcriptions(self) -> TrackedAsyncTranscriptions: ...
    @property
    def translations(self) -> TrackedAsyncTranslations: ...

class TrackedAsyncVideos(_Tracked, AsyncVideos):
    """`AsyncVideos` of a tracked client."""

class TrackedAsyncBatches(_Tracked, AsyncBatches):
    """`AsyncBatches` of a tracked client."""

class TrackedAsyncBeta(_Tracked, AsyncBeta):
    """`AsyncBeta` of a tracked client."""

    @property
    def chat(self) -> TrackedAsyncChat: ...

class TrackedAsyncOpenAI(_TrackedClient, AsyncOpenAI):
    """A tracked client of OpenAI's package, for an event loop."""

    @property
    def chat(self) -> TrackedAsyncChat: ...
    @property
    def completions(self) -> TrackedAsyncCompletions: ...
    @property
    def responses(self) -> TrackedAsyncResponses: ...
    @property
    def embeddings(self) -> TrackedAsyncEmbeddings: ...
    @property
    def images(self) -> TrackedAsyncImages: ...
    @property
    def audio(self) -> TrackedAsyncAudio: ...
    @property
    def videos(self) -> TrackedAsyncVideos: ...
    @property
    def batches(self) -> TrackedAsyncBatches: ...
    @property
    def beta(self) -> TrackedAsyncBeta: ...

class TrackedAsyncAzureOpenAI(TrackedAsyncOpenAI, AsyncAzureOpenAI):
    """A tracked client of OpenAI's package for Azure, for an event loop."""
