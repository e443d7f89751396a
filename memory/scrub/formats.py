"""Formats with a mark of their own that betterleaks leaves: told by how one long word begins or is built.

The base asks for exact lengths, and for some services for their name or a second credential close by. In a talk a key
stands alone, and issuers change lengths. So here a word is a secret when it begins with an issuer's mark and goes on
long enough; the marks are from the issuers' own documentation and from the rules of betterleaks and kingfisher (MIT and
Apache-2.0).
"""

import re
from bisect import bisect_right

from memory.scrub.plausible import is_drawn
from memory.scrub.spans import KNOWN, Span

WORD = re.compile(r"(?<![A-Za-z0-9_~-])[A-Za-z0-9_$~-][A-Za-z0-9_.~$-]{18,}")
LONGEST_WORD = 4_000

# Marks that nothing but a credential begins with, and the kind each tells.
MARKS = {
    "ANTHROPIC_KEY": "sk-ant-",
    "ATLASSIAN_TOKEN": "ATATT3 ATCTT3 ATBB",
    "AWS_BEDROCK_KEY": "ABSK",
    "AWS_MWS_TOKEN": "amzn.mws.",
    "BUILDKITE_TOKEN": "bkua_",
    "CLOUDFLARE_KEY": "v1.0- cfat_ cfut_",
    "CONTENTFUL_TOKEN": "CFPAT-",
    "DATABRICKS_TOKEN": "dapi",
    "DIGITALOCEAN_TOKEN": "dop_v1_ doo_v1_ dor_v1_",
    "DISCORD_TOKEN": "mfa.",
    "DOCKER_TOKEN": "dckr_pat_ dckr_oat_",
    "DOPPLER_TOKEN": "dp.pt. dp.st. dp.ct. dp.sa. dp.scim. dp.audit.",
    "FACEBOOK_TOKEN": "EAAG EAAC EAAM EAAB",
    "FIGMA_TOKEN": "figd_ figo_",
    "FLY_TOKEN": "fo1_ fm1_ fm2_",
    "GITHUB_TOKEN": "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_",
    "GITLAB_TOKEN": "glpat- gldt- glrt- glcbt- glptt- glft- glimt- glagent- gloas- glsoat- glffct- GR1348941",
    "GOOGLE_OAUTH_TOKEN": "ya29. GOCSPX-",
    "GRAFANA_TOKEN": "glsa_ glc_ey eyJrIjoi",
    "GROQ_KEY": "gsk_",
    "HUGGING_FACE_TOKEN": "hf_ api_org_",
    "JINA_KEY": "jina_",
    "LANGSMITH_KEY": "lsv2_pt_ lsv2_sk_",
    "LINEAR_KEY": "lin_api_ lin_oauth_",
    "NETLIFY_TOKEN": "nfp_ nfc_ nfo_",
    "NEW_RELIC_KEY": "NRAK- NRII- NRJS- NRRA- NRIQ-",
    "NOTION_TOKEN": "ntn_",
    "NPM_TOKEN": "npm_",
    "NVIDIA_KEY": "nvapi-",
    "OPENAI_KEY": "sk-proj- sk-svcacct- sk-admin-",
    "OPENROUTER_KEY": "sk-or-",
    "PERPLEXITY_KEY": "pplx-",
    "PINECONE_KEY": "pcsk_",
    "PLANETSCALE_TOKEN": "pscale_pw_ pscale_tkn_ pscale_oauth_",
    "POSTHOG_KEY": "phc_ phx_",
    "POSTMAN_KEY": "PMAK-",
    "PULUMI_TOKEN": "pul-",
    "PYPI_TOKEN": "pypi-AgE",
    "RAZORPAY_KEY": "rzp_live_ rzp_test_",
    "REPLICATE_TOKEN": "r8_",
    "RUBYGEMS_KEY": "rubygems_",
    "SENDGRID_KEY": "SG.",
    "SENTRY_TOKEN": "sntrys_ sntryu_ sntrya_ sntryi_",
    "SHOPIFY_TOKEN": "shpat_ shpss_ shpca_ shppa_",
    "SLACK_TOKEN": "xoxb- xoxp- xoxa- xoxr- xoxs- xoxo- xoxc- xoxd- xoxe- xoxe.xox xapp- xwfp-",
    "SOURCEGRAPH_TOKEN": "sgp_",
    "SQUARE_TOKEN": "EAAA sq0atp- sq0csp- sq0idp-",
    "STRIPE_KEY": "sk_live_ sk_test_ rk_live_ rk_test_ sk_prod_ rk_prod_ whsec_",
    "SUPABASE_TOKEN": "sbp_ sb_secret_",
    "TAILSCALE_KEY": "tskey-",
    "TAVILY_KEY": "tvly-",
    "VAULT_TOKEN": "hvs. hvb. hvr.",
    "VERCEL_TOKEN": "vcp_ vck_ vci_ vca_ vcr_",
    "XAI_KEY": "xai-",
}
SHORTEST_BODY = 14
# Base64 of images is full of EAAA; behind a + or / it is a part of such a text.
IN_IMAGES = ("SQUARE_TOKEN", "FACEBOOK_TOKEN")
KIND_OF_MARK = dict(sorted((mark, kind) for kind, marks in MARKS.items() for mark in marks.split()))
ALL_MARKS = tuple(KIND_OF_MARK)
LONGEST_FIRST = sorted(KIND_OF_MARK, key=len, reverse=True)

# Words that are told by their build, or whose mark is common letters: these must fit whole.
BUILT = [
    # The base reports a key id only where its secret key stands within five lines.
    ("AWS_KEY", r"(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])[A-Z0-9]{16}"),
    ("GCP_KEY", r"AIza(?=[A-Za-z_-]*\d)[A-Za-z0-9_-]{33,37}"),
    # The base asks for the tenant and client ids close by.
    ("AZURE_CLIENT_SECRET", r"[A-Za-z0-9_.~-]{3}\dQ~[A-Za-z0-9_.~-]{30,36}"),
    # The base asks for the service's name in front of these.
    ("TWILIO_KEY", r"(?:SK|AC)[0-9a-f]{32}"),
    ("MAILCHIMP_KEY", r"[0-9a-f]{32}-us\d{1,2}"),
    ("MAILGUN_KEY", r"key-[0-9a-f]{32}"),
    ("AIRTABLE_TOKEN", r"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}"),
    ("DISCORD_TOKEN", r"[A-Za-z0-9_-]{23,28}\.[A-Za-z0-9_-]{6,7}\.[A-Za-z0-9_-]{27,}"),
    ("TERRAFORM_TOKEN", r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{50,80}"),
    ("DROPBOX_TOKEN", r"sl\.(?:u\.)?[A-Za-z0-9_-]{60,}"),
    ("NUGET_KEY", r"oy2[a-z0-9]{43}"),
    ("CRATES_IO_TOKEN", r"cio[A-Za-z0-9]{32}"),
    ("ARTIFACTORY_KEY", r"(?:AKC[A-Za-z0-9]{10,}|cmVmdGtu[A-Za-z0-9]{40,})"),
    ("ALIBABA_KEY", r"LTAI(?=[A-Za-z]*\d)[A-Za-z0-9]{16,24}"),
    ("TENCENT_KEY", r"AKID(?=[A-Za-z]*\d)[A-Za-z0-9]{28,40}"),
    ("RENDER_KEY", r"rnd_(?=[A-Za-z]*\d)[A-Za-z0-9]{24,}"),
    ("RESEND_KEY", r"re_[A-Za-z0-9]{8}_[A-Za-z0-9]{20,}"),
    ("FIRECRAWL_KEY", r"fc-[0-9a-f]{32}"),
    ("NOTION_TOKEN", r"secret_(?=[A-Za-z]*\d)[A-Za-z0-9]{43}"),
    ("VAULT_TOKEN", r"s\.(?=[A-Za-z]*\d)[A-Za-z0-9]{24}"),
    ("FLUTTERWAVE_KEY", r"FLWSECK(?:_TEST)?-[A-Za-z0-9]{20,}(?:-X)?"),
    ("MERCADO_PAGO_TOKEN", r"(?:APP_USR|TEST)-\d{12,}-[0-9A-Za-z-]{30,}"),
    ("BRAINTREE_TOKEN", r"access_token\$(?:production|sandbox)\$[0-9a-z]{16}\$[0-9a-f]{32}"),
    # The old form of these keys has no T3BlbkFJ in it; other services took the mark over. One short mark, so the body
    # must be long, unbroken and mixed.
    ("API_KEY", r"sk[-_](?=[A-Za-z]*\d)(?=[a-z0-9]*[A-Z]|[0-9a-f]{32,}$)[A-Za-z0-9]{32,}"),
    (
        "API_KEY",
        r"(?:[a-z]{2,12}[-_])?(?:sk|pk|rk|ak|key|tok|pat|live|test|prod|secret)_(?:live_|test_|prod_)?(?=[A-Za-z]*\d)(?=[a-z0-9]*[A-Z]|[0-9a-f]{32,}$)[A-Za-z0-9]{24,}",
    ),
    # Symmetric tokens of Python's cryptography library; hashes of passwords can be attacked.
    ("FERNET_TOKEN", r"gAAAAA[A-Za-z0-9_=-]{60,}"),
    ("PASSWORD_HASH", r"\$(?:2[abxy]|5|6|y|argon2id?)\$[A-Za-z0-9./$,=+-]{20,}"),
    # The base wants 17 letters without - or _ in each part.
    ("JWT", r"ey[A-Za-z0-9_-]{10,}\.ey[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*){0,3}"),
    ("AGE_KEY", r"AGE-SECRET-KEY-1[A-Z0-9]{50,}"),
    ("WALLET_KEY", r"(?:[xyz]prv[A-Za-z0-9]{100,112}|nsec1[a-z0-9]{58})"),
]
ANY_BUILT = re.compile("|".join(f"(?:{pattern})" for _, pattern in BUILT))  # most words are turned away by this one

# Issuers that no list has yet: they too print a few letters, a line and a long drawn body. Ids and digests do the same,
# but are shorter or say what they are.
ISSUED = re.compile(r"([A-Za-z][A-Za-z0-9]{1,11})[_-](?:[a-z]{1,8}[_-])?([A-Za-z0-9][A-Za-z0-9_-]{27,})")
ID_MARKS = """
sha sha1 sha256 sha384 sha512 md5 blake2b blake3 hash digest checksum etag commit rev ref git tree blob build release
tag version cache chunk bundle index main file img image video tmp temp log run job task trace span request req msg
message toolu call chatcmpl cmpl resp thread asst item batch session sess conversation id uid uuid uuidv4 urn guid
user usr org team cus evt event pub public arn layer snapshot backup node pod container docker rs data model
checkpoint ckpt test
"""
NOT_ISSUERS = frozenset(ID_MARKS.split())
PARTS = re.compile(r"[_-]")
A_WORD = re.compile(r"[A-Za-z][a-z]{3,}|[A-Z]{4,}")
UUID = re.compile(r"(?i)[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")

# Secrets with punctuation inside, found by a piece that must be there.
INSIDE = [
    # No rule of the base; a webhook can be posted to by whoever has it.
    ("SLACK_WEBHOOK", "hooks.slack.com/", re.compile(r"[a-z]{7,9}/([A-Za-z0-9/]{20,80})"), 1),
    ("DISCORD_WEBHOOK", "/api/webhooks/", re.compile(r"\d{15,21}/([A-Za-z0-9_-]{40,100})"), 1),
    # The base asks for the word Telegram in front.
    ("TELEGRAM_TOKEN", ":AA", re.compile(r"[A-Za-z0-9_-]{33,36}(?![A-Za-z0-9_-])"), 0),
    # Azure keys stand in connection strings, whose other parts are harmless.
    ("AZURE_KEY", "Key=", re.compile(r"([A-Za-z0-9+/]{40,120}={0,2})"), 1),
    ("AZURE_SAS", "sig=", re.compile(r"([A-Za-z0-9%+/]{40,120}={0,2})"), 1),
    ("SIGNED_URL", "Signature=", re.compile(r"([A-Za-z0-9%+/_~-]{24,700}={0,2})"), 1),
    # Base64 with + and / in it, which end a word; the base stops at them or asks for an exact length.
    ("GOOGLE_REFRESH_TOKEN", "1//0", re.compile(r"([A-Za-z0-9_-]{40,400})"), 1),
    ("SENTRY_TOKEN", "sntrys_ey", re.compile(r"([A-Za-z0-9+/_=-]{60,1000})"), 1),
    ("AWS_BEDROCK_KEY", "ABSK", re.compile(r"([A-Za-z0-9+/]{60,200}={0,2})"), 1),
    ("FLY_TOKEN", "fm2_", re.compile(r"([A-Za-z0-9+/_-]{60,4000}={0,2})"), 1),
    ("STRIPE_KEY", "whsec_", re.compile(r"([A-Za-z0-9+/]{30,100}={0,2})"), 1),
    ("PRIVATE_KEY", "LS0tLS1CRUdJTi", re.compile(r"([A-Za-z0-9+/]{60,20000}={0,2})"), 1),
    # A header says itself that what follows opens something.
    ("AUTH_HEADER", "asic ", re.compile(r"([A-Za-z0-9+/]{14,400}={0,2})(?![A-Za-z0-9+/])"), 1),
    ("AUTH_HEADER", "earer ", re.compile(r"([A-Za-z0-9_.~+/-]{16,4000}={0,2})"), 1),
]
# Before the mark: the bot's number; for headers the name of the header stands somewhere to the left on the line.
TELEGRAM_NUMBER = re.compile(r"(?<![0-9])[0-9]{8,10}$")
URL_PASSWORD = re.compile(r"://[^\s:/@\"'`<>]{0,128}:([^\s/\"'`<>]{3,256})@(?=[A-Za-z0-9\[])")
NOT_A_PASSWORD = re.compile(r"(?i)^(?:pass(?:word)?|pwd|secret|x+|\*+|<.*|\$.*|\{.*|%.*|\[.*|\.+)$")


def format_spans(text: str) -> list[Span]:
    """Every secret of these formats in ``text``, in time linear in its length."""
    spans = private_keys(text) + inside_spans(text)
    for match in WORD.finditer(text):
        found = kind_of_word(match[0].rstrip(".-$~"))
        start = match.start()
        if not found and match[0][0] in "nrt" and start and text[start - 1] == "\\":  # an escaped line break before it
            found = kind_of_word(match[0][1:].rstrip(".-$~"))
            start += 1
        if found and not (found[0] in IN_IMAGES and start and text[start - 1] in "+/"):
            kind, length = found
            spans.append(Span(start, start + length, kind, KNOWN))
    if "://" in text and "@" in text:
        for match in URL_PASSWORD.finditer(text):
            if not NOT_A_PASSWORD.match(match[1]):
                spans.append(Span(*match.span(1), "PASSWORD", KNOWN))
    return spans


def kind_of_word(word: str) -> tuple[str, int] | None:
    """(kind, length) of a secret that ``word`` is or begins with; None for any other word."""
    if word.endswith(("EXAMPLE", "EXAMPLEKEY")):  # the keys of Amazon's documentation
        return None
    if word.startswith(ALL_MARKS):
        mark = next(m for m in LONGEST_FIRST if word.startswith(m))
        body = word[len(mark) :]
        if len(body) >= SHORTEST_BODY and _unlike_a_name(body):
            return KIND_OF_MARK[mark], len(word)
    if len(word) <= LONGEST_WORD and ANY_BUILT.fullmatch(word):
        return next(kind for kind, pattern in BUILT if re.fullmatch(pattern, word)), len(word)
    match = ISSUED.fullmatch(word) if len(word) <= LONGEST_WORD else None
    if match and match[1].lower() not in NOT_ISSUERS and _is_body(match[2]):
        return "API_KEY", len(word)
    return None


def _is_body(body: str) -> bool:
    """Whether what follows an unknown mark is drawn by lot throughout: no word in it, and one long run of it."""
    parts = PARTS.split(body)
    longest = max(parts, key=len)
    drawn = len(longest) >= 16 and is_drawn(longest) and sum(c.isdigit() for c in longest) >= 2
    return drawn and not UUID.search(body) and not any(A_WORD.fullmatch(part) for part in parts)


def _unlike_a_name(body: str) -> bool:
    """Whether a run of at least eight characters holds a digit or mixes cases, as no part of an identifier would."""
    runs = re.findall(r"[A-Za-z0-9]{8,}", body[:LONGEST_WORD])
    return any(any(c.isdigit() for c in run) or not (run[1:].islower() or run.isupper()) for run in runs)


def inside_spans(text: str) -> list[Span]:
    """The formats that are found by a piece in the middle."""
    spans = []
    for kind, mark, pattern, group in INSIDE:
        at = text.find(mark)
        while at >= 0:
            match = pattern.match(text, at + len(mark) if group else at + 1)
            if match and (span := _checked(text, kind, at, match, group)):
                spans.append(span)
            at = text.find(mark, at + len(mark))
    return spans


def _checked(text: str, kind: str, at: int, match: re.Match[str], group: int) -> Span | None:
    """The span, where what stands around the mark confirms it."""
    start, end = match.span(group)
    if kind == "TELEGRAM_TOKEN":
        number = TELEGRAM_NUMBER.search(text, max(at - 11, 0), at)
        return Span(number.start(), end, kind, KNOWN) if number else None
    if kind == "AUTH_HEADER":
        value = match[group]
        mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
        header = "uthori" in text[max(at - 40, 0) : at] and not value.isalpha()
        return Span(start, end, kind, KNOWN) if text[at - 1 : at] in ("B", "b") and (mixed or header) else None
    if kind == "GOOGLE_REFRESH_TOKEN" and at and (text[at - 1].isalnum() or text[at - 1] in "+/"):
        return None
    return Span(start, end, kind, KNOWN)


BEGIN_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
END_KEY = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
KEY_BODY = re.compile(r"(?:[A-Za-z0-9+/=]{20,100}|\\[nrt]|[\s\"',>|+]|[A-Za-z-]{1,30}: [^\n]{0,200}\n){0,4000}")


def private_keys(text: str) -> list[Span]:
    """PEM and PGP private keys, whole or cut off: the base needs both ends, within one piece of the text."""
    begins = list(BEGIN_KEY.finditer(text))
    ends = [m.span() for m in END_KEY.finditer(text)] if begins else []
    spans = []
    for i, begin in enumerate(begins):
        limit = begins[i + 1].start() if i + 1 < len(begins) else len(text)
        at = bisect_right(ends, (begin.end(), 0))
        if at < len(ends) and ends[at][1] <= limit and ends[at][0] - begin.end() < 20_000:
            stop = ends[at][1]
        else:
            body = KEY_BODY.match(text, begin.end(), limit)
            stop = begin.end() + len(body[0].rstrip()) if body else begin.end()
        spans.append(Span(begin.start(), stop, "PRIVATE_KEY", KNOWN))
    return spans
