"""The gate: which candidate becomes the champion, and why.

A candidate becomes champion when it beats the popularity floor and the champion by more than luck, on the same users of
the same split, and breaks no guard. Otherwise the champion stays, and the best of the others is its `challenger`. The
champion is judged by its configuration, trained afresh on this split: never by its old figure.

    beats    the lower end of the difference's paired bootstrap interval is above -margin (against the floor: above 0)

Of several candidates one is the best by luck, so each interval is that of Bonferroni: confidence 1 - (1 - c) / n for n
candidates. The champion's own configuration needs to beat the floor alone: trained on newer data it takes over as the
same model, refreshed. The very first model needs only beat the floor; where none does, the floor is the champion.

Sources: Sakai, SIGIR 2006 (paired bootstrap); Dunn, "Multiple comparisons among means", JASA 56, 1961 (Bonferroni).
"""

from __future__ import annotations

from marquee.gate.contenders import Contender, failed
from marquee.gate.decision import Decision, Verdict, decide
from marquee.gate.told import table

__all__ = ["Contender", "Decision", "Verdict", "decide", "failed", "table"]
