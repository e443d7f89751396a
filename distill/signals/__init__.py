"""Stored soft targets: what teachers say of the replies, scored once, kept by content, read by every training.

store = SignalStore(signals_dir(home) / name)                 # distill.signals.store; many readers, one writer
teacher = open_scoring(name, home, engine)                    # distill.teachers.scoring.opening
requests = [request_of(part, system) for part in parts]       # distill.signals.fill; parts are Dialogues
with store.writing():
    fill(store, teacher, requests, on_progress=..., stop=...) # only what is new is scored
signals = stored(store, teacher.traits, request)              # one Signal a target reply, None where one is missing
targets = soft_targets_of(signals)                            # distill.signals.tensors: SoftTargets, label by label
"""
