"""Planted teachers: real sentences of three clearly different topics, and one teacher who is right in each."""

from distill.teachers.replies import Reply
from distill.teachers.taught import Taught
from molting_agent.runtime.template import Message

TOPICS = {
    "cook": [
        "How long should I boil eggs for a soft yolk?",
        "What temperature do I bake sourdough bread at?",
        "Which flour makes the best pizza dough?",
        "How do I keep garlic from burning in the pan?",
        "Can I freeze leftover tomato soup?",
        "What spices go into a chickpea curry?",
        "How much salt do I add to pasta water?",
        "Why did my cake sink in the middle of the oven?",
        "How do I make caramel without crystals?",
        "What is a good substitute for butter in cookies?",
        "How long does fresh fish keep in the fridge?",
        "How do I roast potatoes so that they get crispy?",
        "Which pan is best for frying pancakes?",
        "How do I thicken a mushroom sauce?",
        "Should I rinse rice before cooking it?",
        "How do I whip cream by hand?",
    ],
    "gardener": [
        "When do I prune the roses in my garden?",
        "How often should tomato plants be watered?",
        "Why are the leaves of my lemon tree turning yellow?",
        "Which flowers grow well in the shade?",
        "How do I get rid of slugs on the lettuce bed?",
        "When is the best time to sow carrots?",
        "How deep do tulip bulbs have to be planted?",
        "What soil do blueberry bushes need?",
        "How do I start a compost heap?",
        "Can lavender survive a cold winter outside?",
        "How do I graft an apple tree?",
        "What keeps weeds from growing between the shrubs?",
        "How short should I mow the lawn in summer?",
        "Which hedge grows fastest?",
        "How do I repot an orchid?",
        "Do hydrangeas need fertiliser in spring?",
    ],
    "admin": [
        "How do I mount a network share on the Linux server?",
        "Why does the nightly database backup fail?",
        "Which port does the ssh daemon listen on?",
        "How do I renew the TLS certificate of the web server?",
        "What fills up the disk of the mail server?",
        "How do I restart a systemd service?",
        "Why is the container losing its network connection?",
        "How do I check the logs of the kernel?",
        "What does a segmentation fault in a program mean?",
        "How do I roll back a git commit on the main branch?",
        "Which command shows the processes that use most memory?",
        "How do I configure the firewall to block an address?",
        "Why does the DNS lookup of our host time out?",
        "How do I add a user to the sudo group?",
        "What is the difference between RAID 1 and RAID 5?",
        "How do I schedule a cron job every hour?",
    ],
}
LETTERS = dict(zip(TOPICS, "ABC", strict=True))
REASONS = {
    "cook": "Heat, salt and time decide in a kitchen.",
    "gardener": "Plants follow light, water and the season.",
    "admin": "A server says in its logs what it does.",
}


def sentences(start: int, count: int = 8) -> dict[str, list[str]]:
    """So many questions of each topic, from a place on: 0 for training, 8 for those held out."""
    return {topic: texts[start : start + count] for topic, texts in TOPICS.items()}


def questions_of(by_topic: dict[str, list[str]]) -> tuple[list[str], list[str]]:
    """All questions, and the topic (and so the best teacher) of each."""
    pairs = [(text, topic) for topic, texts in by_topic.items() for text in texts]
    return [text for text, _topic in pairs], [topic for _text, topic in pairs]


def answered(teacher: str, question: str, reply: str, rationale: str = "It is so.") -> Taught:
    """A reply of a teacher to one question."""
    messages = (Message("user", question), Message("assistant", reply, target=True))
    name = f"prompt-{question}"
    return Taught(name, name, (name,), messages, reply, rationale, teacher, f"{teacher}-1", f"{teacher} {question}", "")


def said(teacher: str, topic: str) -> tuple[str, str]:
    """Reply and rationale of a teacher about a topic: right (the topic's letter) in his own, a letter of his else."""
    letter = LETTERS[topic] if teacher == topic else "DEF"["ABC".index(LETTERS[teacher])]
    return f"The answer is {letter}.", REASONS[teacher]


def stored(teacher: str, question: str, topic: str) -> Reply:
    """The same as an answer in the teachers' store."""
    reply, rationale = said(teacher, topic)
    name = f"prompt-{question}"
    return Reply(
        key=f"{teacher} {question}",
        teacher=teacher,
        kind="openai",
        model=f"{teacher}-1",
        conversation=name,
        message=name,
        context_ids=(name,),
        source="file",
        label="normal",
        started_at="",
        system_sha256="0",
        messages=(("user", question),),
        status="ok",
        reply=reply,
        rationale=rationale,
        raw="",
        tokens_in=1,
        tokens_out=2,
        asked_at="2026-02-02T10:00:00Z",
    )
