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
        "How do I stop the rice from sticking to the pot?",
        "What can I do with stale bread?",
        "How long does a chicken have to roast?",
        "Do I need to soak dried beans overnight?",
        "How do I make a salad dressing from lemon and oil?",
        "What is the right heat for searing a steak?",
        "How do I keep chopped apples from going brown?",
        "Can I bake a pie with frozen berries?",
        "How fine should I dice onions for a stew?",
        "What makes scrambled eggs creamy?",
        "How do I proof yeast before kneading the dough?",
        "Which herbs go with grilled lamb?",
        "How do I get the lumps out of a gravy?",
        "What oil should I use for deep frying?",
        "How long can cooked lentils stand in the refrigerator?",
        "How do I peel tomatoes quickly for a sauce?",
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
        "Where should I plant raspberries?",
        "How do I take cuttings from a geranium?",
        "Why does my hibiscus drop its buds?",
        "When can I move seedlings outdoors?",
        "How do I protect strawberries from birds?",
        "What do I do against aphids on the beans?",
        "How far apart should I plant lettuce?",
        "When do I dig up the potatoes?",
        "How do I keep a fern alive in a dry room?",
        "Should I cut back the hedge before winter?",
        "Which plants attract bees?",
        "How much sun do sunflowers want?",
        "What is eating holes into my cabbage leaves?",
        "How do I divide a clump of irises?",
        "When should I rake the moss out of the grass?",
        "Can I grow basil on a windowsill?",
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
        "How do I find out which service holds the port?",
        "Why does the virtual machine not boot after the update?",
        "How do I rotate the log files of the proxy?",
        "What is the difference between TCP and UDP?",
        "How do I restore a table from a database dump?",
        "Why is the load average of this host so high?",
        "How do I set the environment variable for a daemon?",
        "Which file system should I use for the backup disk?",
        "How do I copy a directory over ssh?",
        "Why does the package manager complain about a lock?",
        "How do I limit the memory of a container?",
        "What does exit code 137 mean?",
        "How do I change the owner of all files in a folder?",
        "How do I trace the system calls of a process?",
        "Why does the script fail when cron runs it?",
        "How do I delete a remote branch in git?",
    ],
}
# To test routers on: no setting was chosen by what they do here.
FRESH = {
    "cook": [
        "How do I make pancakes fluffy?",
        "How long should spaghetti cook to be al dente?",
        "What can replace eggs in a muffin recipe?",
        "How do I season a cast iron skillet?",
        "Why did my mayonnaise separate?",
        "How do I steam broccoli without a steamer?",
        "What is the best cut of beef for goulash?",
        "How do I tell whether a melon is ripe enough to eat?",
        "Can I reheat risotto?",
        "How do I toast almonds evenly?",
        "How much sugar goes into strawberry jam?",
        "Why is my bread crust so hard?",
    ],
    "gardener": [
        "When do I sow spinach?",
        "How do I save seeds from my peppers?",
        "Why do my cucumbers taste bitter on the vine?",
        "How do I lay out a raised bed?",
        "Which climbing plants suit a north wall?",
        "How do I get my wisteria to bloom?",
        "What should I feed a potted olive tree?",
        "How do I keep snails away from the hostas?",
        "When should I cut dead flowers off the peonies?",
        "How do I mulch under fruit trees?",
        "Does ivy damage the trunk it grows on?",
        "How do I overwinter dahlia tubers?",
    ],
    "admin": [
        "How do I extend a logical volume?",
        "Why does the web server answer with error 502?",
        "How do I generate an ssh key pair?",
        "What does the kernel's out-of-memory killer do?",
        "How do I list all open network connections?",
        "How do I set up a replica of the database?",
        "Why is the clock of the server wrong?",
        "How do I block password logins on a host?",
        "What is an inode?",
        "How do I see which package installed a file?",
        "How do I merge two branches without a commit?",
        "Why can the container not resolve host names?",
    ],
}
LETTERS = dict(zip(TOPICS, "ABC", strict=True))
REASONS = {
    "cook": "Heat, salt and time decide in a kitchen.",
    "gardener": "Plants follow light, water and the season.",
    "admin": "A server says in its logs what it does.",
}


def sentences(start: int, count: int = 8) -> dict[str, list[str]]:
    """So many questions of each topic, from a place on."""
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
