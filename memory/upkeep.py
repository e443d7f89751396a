"""Keeps what is stored in step with what changed since: the label rules, and scrubbing where there was none."""

from memory.chunk import chunk_transcript
from memory.conversations import conversation, conversations, redactions_of, source_of, unscrubbed_ids
from memory.home import Home
from memory.labels import LabelRules, labelled, read_rules, strictest
from memory.scrub.conversation import scrub_conversation
from memory.sources import put_conversation, read_again
from memory.store import Store


def apply_rules(home: Home, store: Store) -> LabelRules:
    """The home's label rules, once all that is stored obeys them; errors: HomeError.

    Costs a look at a small file where nothing changed. Here labels only become stricter, since a stored text no longer
    shows what was taken out of it; the files are read again the next time, and that may lift a label.
    """
    rules = read_rules(home)
    if store.meta("label_rules") == rules.digest:
        return rules
    with store.transaction() as connection:
        if rules.digest:
            for talk in conversations(store):
                new = labelled(talk, rules.of_path(talk.path.resolve()), rules)
                if new != talk:
                    path = source_of(store, talk.id)
                    put_conversation(store, path, new, chunk_transcript(new), redactions_of(store, talk.id))
            rows = connection.execute(
                "SELECT c.number, c.text, c.heading, c.label, s.path FROM chunks c JOIN sources s ON s.id = c.source_id"
                " WHERE c.conversation_id IS NULL"
            ).fetchall()
            connection.executemany(
                "UPDATE chunks SET label = ? WHERE number = ?",
                [
                    (
                        strictest(
                            row["label"],
                            rules.of_path((home.root / row["path"]).resolve()),
                            rules.of_text(row["heading"], row["text"]),
                        ),
                        row["number"],
                    )
                    for row in rows
                ],
            )
        read_again(store)
        connection.execute("UPDATE meta SET value = ? WHERE key = 'label_rules'", (rules.digest,))
    return rules


def scrub_stored(store: Store) -> None:
    """Scrub the conversations of an older home, whether or not their files are still there."""
    for transcript_id in unscrubbed_ids(store):
        with store.transaction():
            talk = conversation(store, transcript_id)
            if talk:
                clean, found = scrub_conversation(talk)
                put_conversation(store, source_of(store, talk.id), clean, chunk_transcript(clean), found)
