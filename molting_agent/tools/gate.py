"""Which tools a person's words could call for, told by plain patterns in English and Portuguese (pure).

Plain talk must not pay for tools: where no pattern fits, no model is asked and the turn goes its usual way. The
patterns are generous (a verb and its object), because what fits is only looked at more closely.
"""

import re

GATE_CHARS = 400
"""A request stands in the first words; a pasted page is no request."""

_FILE = r"(?:[\w.~/-]*\.[a-z][a-z0-9]{0,5}\b|[\w.~-]*/[\w./-]*\w|\bfile\b|\bficheiro\b|\barquivo\b)"
_FOLDER = r"(?:\bfolders?\b|\bdirectory\b|\bdir\b|\bpastas?\b|\bdiret[óo]rio\b|[\w.~-]+/(?=[\s.,?!]|$))"
_FILES = r"(?:\bfiles\b|\bficheiros\b|\barquivos\b)"
_COMMAND = (
    r"(?:`[^`]+`|\b(?:command|comando|script|tests?|testes?)\b"
    r"|\b(?:git|ls|df|du|cat|grep|find|make|python3?|pip|npm|node|cargo|go|pwd|uname|ps|wc|head|tail|docker|pytest)\b)"
)
_ASK = r"^(?:(?:please|por favor|then|now|agora|ok|hey|could you|can you|would you|podes|pode|will you)[,\s]+)*"
_VERBS = {
    "date_and_time": [
        r"\bwhat(?:'s| is)?\s+(?:the\s+)?(?:current\s+)?(?:time|date|day)\b(?!\s+(?:of|for|to|in)\b(?!\s+the\s+week))",
        r"\b(?:which|what) day\b(?=.*\b(?:week|today|is it)\b)",
        r"\b(?:today'?s|the current|current) (?:date|time|day)\b",
        r"\bhow late is it\b",
        r"\bque horas\b|\bhoras são\b|\bque dia (?:é|da semana)\b|\b(?:data|dia) de hoje\b|\bhoras?,? por favor\b",
    ],
    "read_file": [
        rf"\b(?:read|open|show|print|cat|display|view)\b.*{_FILE}",
        rf"\b(?:lê|lê-me|leia|ler|abre|abra|mostra|mostra-me|mostre)\b.*{_FILE}",
        rf"\bwhat(?:'s| is| does| do)\b.*(?:\b(?:in|inside|say|says|contain)\b.*)?{_FILE}",
        rf"\bo que (?:diz|dizem|está|há|tem|contém)\b.*{_FILE}",
    ],
    "list_folder": [
        rf"\b(?:list|show|what|what's|which|see|display)\b.*(?:{_FOLDER}|{_FILES})",
        rf"\b(?:lista|listar|mostra|mostra-me|que|quais|o que)\b.*(?:{_FOLDER}|{_FILES})",
        rf"{_ASK}ls\b",
    ],
    "search_files": [
        rf"\b(?:search|find|look for|grep|scan)\b.*(?:{_FILES}|{_FOLDER}|{_FILE}|\bin\s+\w+\.?$)",
        r"\b(?:which|what) files?\b.*\b(?:mention|mentions|contain|contains|has|have|hold|holds|say|says|with)\b",
        rf"\b(?:procura|procurar|busca|buscar|encontra|pesquisa)\b.*(?:{_FILES}|{_FOLDER}|{_FILE})",
        r"\bem que (?:ficheiros?|arquivos?)\b",
        r"\b(?:que|quais) (?:ficheiros?|arquivos?)\b.*\b(?:têm|tem|falam?|mencionam?|contêm)\b",
    ],
    "write_file": [
        rf"\b(?:write|save|create|put|store|make|add)\b.*{_FILE}",
        rf"\b(?:escreve|escreva|guarda|guarde|grava|cria|crie|põe|adiciona)\b.*{_FILE}",
    ],
    "run_command": [
        rf"{_ASK}(?:run|execute|launch)\b.*{_COMMAND}",
        rf"{_ASK}(?:executa|execute|corre|roda|lança)\b.*{_COMMAND}",
    ],
    "remember": [
        rf"{_ASK}(?:remember|memori[sz]e|keep in mind|note|note down|make a note|don'?t forget)\b(?!.*\?\s*$)",
        rf"{_ASK}(?:lembra-te|lembre-se|não te esqueças|não esqueças|anota|memoriza|toma nota|fixa)\b(?!.*\?\s*$)",
    ],
    "forget": [
        rf"{_ASK}forget\b(?!\s+it\b)",
        rf"{_ASK}(?:delete|remove|erase|drop)\b.*\bmemor(?:y|ies)\b",
        rf"{_ASK}(?:esquece|esquece-te|esqueça)\b|{_ASK}(?:apaga|apague|remove|elimina)\b.*\bmemórias?\b",
    ],
    "recall": [
        r"\bwhat (?:do|did) you (?:remember|know|recall)\b.*\b(?:about|of|from)\b",
        r"\bdo you remember (?:what|when|where|who|which|how|the|my|our)\b",
        r"\b(?:search|look in|look into|check)\b.*\b(?:your )?memory\b",
        rf"{_ASK}recall\b(?!.*\?\s*$)|{_ASK}(?:recorda|recorda-te)\b(?!.*\?\s*$)",
        r"\bo que (?:te lembras|lembras|sabes|recordas|se lembra)\b|\blembras-te d[aoe]s?\b",
        r"\b(?:procura|busca|vê|pesquisa)\b.*\bmemória\b",
    ],
}
_PATTERNS = {name: [re.compile(verb, re.IGNORECASE | re.DOTALL) for verb in verbs] for name, verbs in _VERBS.items()}


def suggested(text: str) -> list[str]:
    """Names of the tools that ``text`` could call for, the likelier first; [] for plain talk."""
    head = text.strip()[:GATE_CHARS]
    found = [name for name, patterns in _PATTERNS.items() if any(pattern.search(head) for pattern in patterns)]
    # What is said of the memory is not said of files, and writing names a file that is not read.
    if "recall" in found or "forget" in found or "remember" in found:
        found = [name for name in found if name in ("recall", "forget", "remember")]
    order = ("run_command", "write_file", "search_files", "date_and_time", "read_file", "list_folder")
    return sorted(found, key=lambda name: order.index(name) if name in order else -1)
