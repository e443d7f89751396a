"""How much a sentence of a person's reads like something worth keeping: a fact, a preference, a commitment (pure).

English and Portuguese, typed in haste: without apostrophes, accents, capitals. Rules are about the form of a sentence,
so that they hold for subjects that nobody thought of.
"""

import re

THRESHOLD = 1.8
MIN_WORDS, MAX_WORDS = 4, 45
_SENTENCE = re.compile(r"(?<=[.!?…])[\"'”’)]*\s+(?=\S)|\n+")
_DAY = (
    r"mon(?:day)?s?|tue(?:s|sday)?s?|wed(?:nesday)?s?|thu(?:rs|rsday)?s?|fri(?:day)?s?|sat(?:urday)?s?|sun(?:day)?s?|"
    r"segunda(?:s|-feira)?|ter[cç]a(?:s|-feira)?|quarta(?:s|-feira)?|quinta(?:s|-feira)?|sexta(?:s|-feira)?|"
    r"s[aá]bados?|"
    r"domingos?"
)
_MONTH = (
    r"jan(?:uary|eiro)?|feb(?:ruary)?|fevereiro|fev|mar(?:ch|[cç]o)?|apr(?:il)?|abril|abr|may|maio|june?|junho|"
    r"july?|julho|"
    r"aug(?:ust)?|agosto|ago|sep(?:t|tember)?|setembro|set|oct(?:ober)?|outubro|out|nov(?:ember|embro)?|"
    r"dec(?:ember)?|dezembro|dez"
)
_VERB_EN = (
    r"(?:am|m|live|lives|work|works|prefer|like|love|hate|own|use|never|always|usually|keep|"
    r"pay|teach|play|drink|eat|speak|read|grew|was born|can'?t|cannot|do not|don'?t|quit|stopped|moved|"
    r"am allergic|bought|sold|signed|promised|owe|trust|believe|go|swim|run|take|will|start|started|decided)"
)
_VERB_PT = (
    r"(?:sou|moro|vivo|trabalho|prefiro|gosto|adoro|odeio|detesto|uso|nunca|sempre|pago|"
    r"dou|toco|bebo|falo|leio|nasci|deixei|mudei|comprei|vendi|assinei|prometi|devo|confio|decidi)"
)
_FOR: tuple[tuple[float, str], ...] = (
    # whose it is, and who the person is
    (
        1.5,
        r"\b(?:my|our|o meu|a minha|os meus|as minhas|o nosso|a nossa)\s+(?:\w+\s+){1,4}?(?:is|are|was|were|has|have|"
        r"lives?|works?|likes?|hates?|needs?|comes?|calls?|starts?|ends?|runs?|died|moved|got|turns?|é|são|era|tem|"
        r"vive|mora|trabalha|gosta|faz|chega|liga|começa|acaba|morreu)\b",
    ),
    (1.2, rf"^(?:(?:and|but|so|well|ok|yes|no|actually|mas|e|pois),?\s+)*i(?:'|’)?\s?{_VERB_EN}\b"),
    (1.2, rf"^(?:(?:mas|e|pois|olha),?\s+)*(?:eu\s+)?{_VERB_PT}\b(?=.*\b\w{{3,}})"),
    (
        1.0,
        r"\b(?:my|our|meu|minha|meus|minhas|nosso|nossa)\s+(?:sister|brother|mother|father|mum|mom|dad|wife|husband|"
        r"partner|son|daughter|boss|chief|neighbou?r|cat|dog|flat|house|car|van|bike|boat|doctor|dentist|"
        r"landlord|nephew|"
        r"niece|aunt|uncle|grandmother|grandfather|friend|team|company|job|password|bus|birthday|allergy|"
        r"irm[aã]o?|m[aã]e|"
        r"pai|mulher|marido|filh[oa]|chefe|vizinh[oa]|gat[oa]|c[aã]o|casa|carro|m[eé]dic[oa]|senhori[oa]|"
        r"sobrinh[oa]|ti[oa]|"
        r"av[oó]|amig[oa])\b",
    ),
    (
        1.2,
        r"\bi(?:'|’)?\s?a?m (?:an?|the|allergic|responsible|in charge|married|vegetarian|vegan)\b|\bsou (?:um|"
        r"uma|al[eé]rgic[oa])\b",
    ),
    (
        0.4,
        r"\b(?:i|we|n[oó]s|eu) (?:have|has|had|need|want|own|keep|tenho|temos|preciso|precisamos)\b|\b(?:tenho|"
        r"temos|preciso)\b",
    ),
    # a correction
    (1.3, r"\bnot (?:\d[\w:.,]*|(?:in |on |at )?[A-Za-zÀ-ÿ]+)[.!]*$|,? n[aã]o (?:\d[\w:.,]*|[a-zà-ÿ]+)[.!]*$"),
    # what was settled, and what holds in general
    (
        1.8,
        r"\b(?:we|they|the council|i|nós)(?:'ve|’ve| have)? (?:decided|agreed|settled on|moved|chose|"
        r"switched to|signed|"
        r"promised|cancelled|renewed|booked|bought|paid)\b",
    ),
    (1.6, r"\b(?:decidimos|combin[aá]mos|ficou (?:decidido|combinado|marcado)|mud[aá]mos|escolhemos|assin[aá]mos)\b"),
    (
        1.4,
        rf"\b(?:every|each|todos os|todas as|cada)\s+(?:\w+\s+)?(?:day|night|morning|evening|week|month|year|hours?|"
        rf"minutes?|time|dias?|noites?|manh[aã]s?|semanas?|m[eê]s(?:es)?|anos?|vez|{_DAY})\b",
    ),
    (
        1.0,
        r"\b(?:always|never|usually|from now on|as a rule|sempre|nunca|jamais|geralmente|a partir de agora|"
        r"por norma)\b",
    ),
    (1.2, r"\b(?:is|are|was|s|named|é|chama-se)\s+(?:called|named|chamad[oa])\b|\bname(?:'s|s)?\s+is\b|\bchama-se\b"),
    (
        1.2,
        r"\b(?:birthday|anniversary|allergic|allergy|deadline|due|expires?|appointment|password|lives in|born|married|"
        r"lease|contract|policy|insurance|faz anos|anivers[aá]rio|al[eé]rgic[oa]|prazo|senha|contrato|seguro|"
        r"renda|mora em)\b",
    ),
    (0.8, r"\b(?:allowed|forbidden|must|mustn'?t|rule|limit|only when|except|proibido|regra|s[oó] quando|exceto)\b"),
    (
        1.6,
        r"\b(?:from|as of|starting) (?:tomorrow|next \w+|\w+day|\d)|\ba partir d[eoa]s? \w+",
    ),
    # what can be checked: times, dates, amounts, places
    (0.9, r"\b(?:at|by|until|from|before|às|[aà]s|até|das)\s+\d{1,2}(?:[:.h]\d{2})?\s*(?:am|pm|h)?\b"),
    (
        0.9,
        rf"\b(?:\d{{4}}-\d{{2}}-\d{{2}}|\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+|de\s+)?(?:{_MONTH})|"
        rf"(?:{_MONTH})\s+\d{{1,2}})\b",
    ),
    (0.6, rf"\b(?:on|this|next|na|no|aos?|à)\s+(?:{_DAY})\b"),
    (
        0.5,
        r"\b\d+(?:[.,]\d+)?\s?(?:€|eur|euros?|kg|g|gb|tb|mb|km|m|cm|mm|l|litres?|liters?|%|kwh|w|v|years?|anos|"
        r"months?|meses)\b",
    ),
    (0.5, r"(?<=[a-z,;] )[A-ZÀ-Ý][a-zà-ÿ]{2,}"),
    (
        0.6,
        r"\b(?:is|are|sits|stands|hangs|lives|is kept|fica|est[aá])\s+(?:in|on|at|under|behind|by|near|em|no|na|"
        r"ao|debaixo)"
        r"\s+(?:the\s+|my\s+|our\s+|a\s+|o\s+)?\w+",
    ),
    (0.5, r"\b(?:is|are|was|has|é|são|tem|têm|ends?|starts?|must|dies|runs|costs?|owes?|comes|meets|opens|closes)\b"),
)
_AGAINST: tuple[tuple[float, str], ...] = (
    (1.3, r"\bi(?:'|’)?\s?a?m (?:on|in|at|home|here|back|not sure|going|ill|tired|done|late|lost|so|just|about)\b"),
    (
        1.6,
        r"^(?:it|its|it's|it’s|this|that|thats|that's|these|those|they|he|she|hes|shes|theyre|which|there|isto|"
        r"isso|ele|"
        r"ela|eles|elas|aquilo)\b",
    ),
    (0.8, r"\b(?:this|that|these|those|isto|isso|esse|essa|aquilo)\b"),
    (
        1.2,
        r"\b(?:now|just now|right now|today|tonight|this (?:morning|afternoon|evening|week)|at the moment|"
        r"yesterday|tomorrow|"
        r"currently|still|already|agora|hoje|ontem|amanh[aã]|neste momento|ainda|j[aá])\b",
    ),
    (1.2, r"\b(?:i think|i guess|maybe|perhaps|probably|i wonder|acho que|talvez|se calhar|s[eé]r[aá] que)\b"),
    (1.5, r"\b(?:you|your|youre|you're|yours|tu|teu|tua|voc[eê]|contigo)\b"),
    (0.8, r"[{}<>|=;`$\\]|\bhttps?://"),
    (1.0, r"\[[A-Z][A-Z_ ]*\d*\]"),
    (0.8, r"\b(?:it|disso|isso|nisso|like that|too)[.!]*$|\btoo \w+|\bthough\b"),
    (
        1.0,
        r"^(?:and |but |mas |e )?(?:everything|nothing|something|someone|everyone|anyone|one|some|all|most|both|"
        r"tudo|nada|"
        r"algu[eé]m|todos)\b",
    ),
    (1.0, r"(?:^|\s)[~/][\w./-]{6,}|^\W*\d{4}-\d{2}-\d{2}[T ]"),
    (
        0.8,
        r"^(?:lol|haha|wow|ugh|oh|hm+|argh|jesus|god|damn|nope|yep|yes|no|ok|okay|fine|thanks|great|good|sorry|"
        r"hi|hello|olá)\b",
    ),
)
_ASKS = re.compile(
    r"^\W*(?:(?:and|but|so|ok|well|e|mas|ent[aã]o|then|also),?\s+)*(?:what|whats|how|hows|why|when|whens|where|"
    r"wheres|who|whos|"
    r"whose|which|is|isnt|isn't|are|arent|was|were|do|does|doesnt|did|didnt|can|could|should|would|will|wont|"
    r"shall|have you|"
    r"has|am i|may i|any|anything|que horas|qual|quais|quando|onde|porqu[eê]|por que|quem|como (?:é|se|faço|"
    r"posso)|o que|"
    r"posso|podes|pode|consegues|ser[aá]|h[aá] quanto)\b",
    re.IGNORECASE,
)
_ORDERS = re.compile(
    r"^\W*(?:(?:and|but|so|ok|okay|now|then|just|please|pls|e|agora|depois|por favor),?\s+)*(?:write|make|give|"
    r"show|fix|check|run|"
    r"list|explain|tell|help|find|draft|translate|summari[sz]e|rewrite|add|remove|delete|change|try|do|dont|"
    r"don't|let|lets|let's|"
    r"use|open|look|go|stop|skip|keep|put|read|send|say|ask|pick|choose|compare|count|convert|compute|calculate|"
    r"plot|name|"
    r"remind|wait|forget|ignore|call|move|take|start|turn|set|cut|split|sort|rate|guess|imagine|pretend|suggest|"
    r"improve|"
    r"shorten|decide|design|create|build|plan|answer|describe|assume|suppose|test|update|come|play|"
    r"escreve|faz|d[aá]|mostra|corrige|verifica|explica|diz|ajuda|encontra|traduz|resume|junta|tira|apaga|muda|"
    r"tenta|usa|"
    r"abre|v[eê]|p[aá]ra|p[oõ]e|l[eê]|manda|pergunta|escolhe|compara|conta|converte|calcula|lembra|espera|"
    r"esquece|ignora)\b",
    re.IGNORECASE,
)
_KEEP_OUT = re.compile(
    r"\b(?:(?:do ?n'?t|dont|do not|never|please don'?t) (?:keep|store|save|remember|note|write (?:it |this |"
    r"that )?down|log|tell)|"
    r"(?:forget|delete|erase) (?:it|that|this|all|what|about)|off the record|between us|in confidence|secret|"
    r"n[aã]o (?:guardes?|guarda|anotes?|registes?|escrevas|contes?|digas?)|esquece|apaga (?:isso|isto|tudo)|"
    r"entre n[oó]s|segredo)\b",
    re.IGNORECASE,
)
_RULES = [(weight, re.compile(pattern, re.IGNORECASE)) for weight, pattern in _FOR if "A-ZÀ-Ý" not in pattern]
_RULES += [(weight, re.compile(pattern)) for weight, pattern in _FOR if "A-ZÀ-Ý" in pattern]
_RULES += [(-weight, re.compile(pattern, re.IGNORECASE)) for weight, pattern in _AGAINST if "A-Z]" not in pattern]
_RULES += [(-weight, re.compile(pattern)) for weight, pattern in _AGAINST if "A-Z]" in pattern]


def sentences(text: str) -> list[str]:
    """The sentences of a message, each as one line."""
    parts = (" ".join(part.split()).strip(" -*•–—") for part in _SENTENCE.split(text))
    return [part for part in parts if part]


def worth(sentence: str) -> float:
    """How much a sentence reads like something to keep: proposed from THRESHOLD on. 0 for questions and orders."""
    count = len(re.findall(r"\w+", sentence))
    if not MIN_WORDS <= count <= MAX_WORDS:
        return 0.0
    if "?" in sentence or _ASKS.match(sentence) or _ORDERS.match(sentence):
        return 0.0
    return sum(weight for weight, rule in _RULES if rule.search(sentence))


def asks_to_keep_out(text: str) -> bool:
    """Whether a message asks that nothing of what was said be kept."""
    return bool(_KEEP_OUT.search(text))
