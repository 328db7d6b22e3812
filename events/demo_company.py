"""The company whose traffic the demo invents: its accounts and plans, its features, the models they call. Only data.

Accounts carry names that are well known for standing in for a company; their addresses end in the reserved `.example`.
"""

from typing import Final, Literal, NamedTuple

Caching = Literal["none", "reads", "writes"]
"""How a provider caches prompts: not at all, on its own (reads are cheaper), or on request (writes cost more)."""
Taste = Literal["any", "support", "engineering"]


class Model(NamedTuple):
    """A model and how fast it answers: milliseconds to the first token and per token, log-normal around them."""

    provider: str
    name: str
    first_token_ms: float
    token_ms: float
    spread: float
    caching: Caching = "reads"


GPT_5_4: Final = Model("openai", "gpt-5.4", 620, 11, 0.35)
GPT_6_1_SOL: Final = Model("openai", "gpt-6.1-sol", 480, 8, 0.3)
GPT_5_MINI: Final = Model("openai", "gpt-5-mini", 450, 6, 0.35)
GPT_5_NANO: Final = Model("openai", "gpt-5-nano", 280, 4, 0.3)
OPUS: Final = Model("anthropic", "claude-opus-4-5-20251101", 1400, 17, 0.4, "writes")
SONNET: Final = Model("anthropic", "claude-sonnet-5-5", 900, 11, 0.35, "writes")
HAIKU: Final = Model("anthropic", "claude-haiku-4-5-20251001", 430, 6, 0.3, "writes")
GEMINI: Final = Model("google", "gemini-3.8-flash", 520, 5, 0.35)
DEEPSEEK: Final = Model("deepseek", "deepseek-v4-flash", 950, 8, 0.45)
MISTRAL: Final = Model("mistral", "mistral-small-2603", 330, 7, 0.3)
UNKNOWN: Final = Model("acme", "experimental-1", 800, 9, 0.4, "none")
"""No price list knows it: the demo's share of calls without a cost."""


class Step(NamedTuple):
    """One kind of call: medians of tokens, log-normal around them. `switched_to` answers from one day on."""

    name: str
    model: Model
    system_tokens: int
    prompt_tokens: int
    output_tokens: int
    spread: float = 0.5
    max_output_tokens: int = 4096
    reasoning: float = 0.0
    """Median tokens of hidden reasoning per visible token."""
    is_streamed: bool = False
    writes_1h: bool = False
    """Whether the system prompt is cached for an hour, not for five minutes."""
    switched_to: Model | None = None
    is_tried_out: bool = False
    """Whether the unknown model is tried here, late in the period."""


class Feature(NamedTuple):
    """A part of the product. An episode makes each step once and then the last one again, `turns` times on average."""

    name: str
    weight: float
    night_weight: float
    steps: tuple[Step, ...]
    turns: float = 1.0
    pause_s: float = 5.0
    has_session: bool = True
    has_conversation: bool = False
    is_batch: bool = False
    taste: Taste = "any"


FEATURES: Final = (
    Feature(
        "support-chat",
        weight=26,
        night_weight=14,
        steps=(
            Step("classify", GPT_5_NANO, 900, 120, 25, max_output_tokens=64),
            Step(
                "answer",
                GPT_5_4,
                3072,
                9000,
                450,
                is_streamed=True,
                max_output_tokens=1500,
                reasoning=0.5,
                switched_to=GPT_6_1_SOL,
            ),
        ),
        turns=3.4,
        pause_s=45,
        has_conversation=True,
        taste="support",
    ),
    Feature(
        "doc-search",
        weight=32,
        night_weight=14,
        steps=(
            Step("rewrite-query", MISTRAL, 400, 60, 40, max_output_tokens=128),
            Step("answer", GEMINI, 2048, 26_000, 480, is_streamed=True, reasoning=0.4, is_tried_out=True),
        ),
        turns=1.2,
        pause_s=25,
    ),
    Feature(
        "email-drafts",
        weight=20,
        night_weight=3,
        steps=(Step("draft", SONNET, 4200, 4000, 700, is_streamed=True, max_output_tokens=2048),),
        turns=1.5,
        pause_s=60,
    ),
    Feature(
        "code-review",
        weight=16,
        night_weight=5,
        steps=(
            Step("triage", HAIKU, 2300, 7000, 180, spread=0.7, max_output_tokens=512),
            Step("review", OPUS, 9500, 40_000, 2200, 0.6, 8192, writes_1h=True, switched_to=SONNET),
        ),
        turns=2.8,
        pause_s=8,
        taste="engineering",
    ),
    Feature(
        "summaries",
        weight=1,
        night_weight=30,
        steps=(Step("", GPT_5_MINI, 700, 9000, 350, spread=0.8, reasoning=1.2),),
        turns=6,
        pause_s=2,
        has_session=False,
        is_batch=True,
    ),
    Feature(
        "onboarding",
        weight=5,
        night_weight=1,
        steps=(
            Step("extract-profile", MISTRAL, 600, 2400, 220),
            Step("plan", GPT_5_MINI, 1536, 1800, 600, reasoning=2.0),
            Step("welcome", HAIKU, 2300, 900, 330, is_streamed=True),
        ),
        pause_s=4,
    ),
    Feature(
        "translation",
        weight=11,
        night_weight=12,
        steps=(Step("", DEEPSEEK, 512, 1300, 1100, spread=0.7),),
        turns=1.6,
        pause_s=3,
        has_session=False,
    ),
)

PLANS_USD: Final[dict[str, int | None]] = {"trial": None, "starter": 9, "team": 29, "business": 79}
"""USD per month at the default number of events; accounts on trial have no revenue."""


class Account(NamedTuple):
    """A customer. `joined` and `change_at` are parts of the period (0: before it, 1: its end)."""

    name: str
    plan: str
    taste: Taste = "any"
    joined: float = 0.0
    change_at: float = 0.0
    changed_plan: str = ""

    @property
    def slug(self) -> str:
        """The name as it stands in ids and addresses."""
        return self.name.lower().replace(" ", "-")

    @property
    def external_id(self) -> str:
        """The id by which events name the account."""
        return f"user-{self.slug}"


# The order is the rank of activity: the first one calls the most.
ACCOUNTS: Final = (
    Account("Northwind", "business"),
    Account("Initech", "business", "engineering"),
    Account("Contoso", "business", "support"),
    Account("Hooli", "starter", "engineering"),  # costs more than it pays
    Account("Globex", "team", "any", 0.0, 0.5, "business"),  # the upgrade
    Account("Pied Piper", "starter", "engineering"),  # costs more than it pays
    Account("Massive Dynamic", "starter", "engineering"),  # costs more than it pays
    Account("Litware", "starter", "engineering"),  # costs more than it pays
    Account("Fabrikam", "team", "support"),
    Account("Adventure Works", "business", "any", 0.0, 0.65, "team"),  # the downgrade
    Account("Vandelay", "starter"),
    Account("Tailspin Toys", "team", "support"),
    Account("Woodgrove", "starter"),
    Account("Wide World Importers", "team", "support"),
    Account("Proseware", "starter", "any", 0.15),
    Account("Wingtip Toys", "starter"),
    Account("Trey Research", "team", "engineering"),
    Account("Alpine Ski House", "starter", "support"),
    Account("Coho Vineyard", "starter"),
    Account("Fourth Coffee", "trial", "any", 0.7),
    Account("Relecloud", "starter", "any", 0.25),
    Account("Lucerne Publishing", "starter"),
    Account("Humongous Insurance", "starter", "support"),
    Account("Cyberdyne", "starter"),
    Account("Wonka", "starter", "any", 0.35),
    Account("Tyrell", "trial", "any", 0.8),
    Account("Soylent", "starter"),
    Account("Bluth", "starter"),
    Account("Dunder Mifflin", "starter", "any", 0.45),
    Account("Sterling Cooper", "starter"),
    Account("Oceanic", "starter", "support"),
    Account("Duff", "trial", "any", 0.6),
    Account("Gringotts", "starter"),
    Account("Los Pollos", "starter", "support", 0.5),
    Account("Prestige Worldwide", "trial", "any", 0.85),
    Account("Monsters Inc", "starter"),
    Account("Weyland", "starter", "any", 0.55),
    Account("Ollivander", "starter"),
    Account("Planet Express", "trial", "any", 0.4),
    Account("Bellows College", "starter", "any", 0.65),
)


class Failure(NamedTuple):
    """How a call may fail: the status and message a sender reports, and how often compared with the others."""

    weight: float
    status: str
    message: str


FAILURES: Final = {
    "openai": (
        Failure(
            5,
            "ERROR",
            "Error code: 429 - Rate limit reached for {model} on tokens per min (TPM): Limit 2000000, Used 1996412,"
            " Requested 5218. Please try again in 48ms.",
        ),
        Failure(3, "ERROR", "Error code: 503 - The server is currently overloaded. Please try again later."),
        Failure(2, "ERROR", "Request timed out after 60.0 seconds."),
        Failure(2, "CONTENT_FILTER", "The response was filtered: finish_reason=content_filter"),
        Failure(1, "MALFORMED_REQUEST", "Error code: 400 - Invalid schema for function 'search_orders'."),
    ),
    "anthropic": (
        Failure(5, "ERROR", "Error code: 529 - overloaded_error: Overloaded"),
        Failure(
            4,
            "ERROR",
            "Error code: 429 - rate_limit_error: This request would exceed your organization's rate limit of"
            " 400,000 input tokens per minute.",
        ),
        Failure(1, "BLOCKED", "The model declined to answer: stop_reason=refusal"),
    ),
    "google": (
        Failure(4, "ERROR", "503 UNAVAILABLE. The model is overloaded. Please try again later."),
        Failure(3, "ERROR", "429 RESOURCE_EXHAUSTED. Quota exceeded for requests per minute."),
        Failure(2, "CONTENT_FILTER", "The response was blocked: finishReason=SAFETY"),
        Failure(1, "RECITATION", "The response was stopped: finishReason=RECITATION"),
    ),
}
OTHER_FAILURES: Final = (
    Failure(3, "ERROR", "503 Service Unavailable: {model} is overloaded, try again later."),
    Failure(3, "ERROR", "429 Too Many Requests: requests rate limit exceeded."),
    Failure(2, "ERROR", "Request timed out after 60.0 seconds."),
)
INCIDENT: Final = Failure(1, "ERROR", "Error code: 503 - The server is currently overloaded. Please try again later.")
INCIDENT_PROVIDER: Final = "openai"
LOCALES: Final = ("en", "en", "en", "de", "fr", "es", "ja")
