"""What this machine is to the package, `doctor`, and what is odd about a task, `check_task`.

In comes nothing; out come facts about versions, devices, threads, folders, memory and the Hub
(`facts`), advice on those that will hurt (`advice`), and both as text to paste (`text`).
"""

from nogs_bench.diagnosis.advice import ADVICE, Advice
from nogs_bench.diagnosis.facts import Facts, Folder, Pool
from nogs_bench.diagnosis.oddities import check_task
from nogs_bench.diagnosis.text import Diagnosis, doctor

__all__ = ["ADVICE", "Advice", "Diagnosis", "Facts", "Folder", "Pool", "check_task", "doctor"]
