"""What this machine is to the package: `doctor`.

In comes nothing; out come facts about versions, devices, threads, folders, memory and the Hub
(`facts`), advice on those that will hurt (`advice`), and both as text to paste (`text`).
"""

from nogs_bench.diagnosis.advice import ADVICE, Advice
from nogs_bench.diagnosis.facts import Facts, Folder, Pool
from nogs_bench.diagnosis.text import Diagnosis, doctor

__all__ = ["ADVICE", "Advice", "Diagnosis", "Facts", "Folder", "Pool", "doctor"]
