"""Kills processes of a workspace at random times."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import psutil

from tests.faults.world import Server, World


@dataclass
class Killer:
    """Draws whom to kill and when, and starts again what a service manager would."""

    world: World
    rng: np.random.Generator
    servers: Mapping[str, Server] = field(default_factory=dict)
    killed: Counter[str] = field(default_factory=Counter)

    def victims(self) -> dict[str, list[psutil.Process]]:
        """Who could be killed now, by what it is."""
        world, found = self.world, dict[str, list[psutil.Process]]()
        if world.scheduler is not None and world.scheduler.poll() is None:
            found["scheduler"] = [psutil.Process(world.scheduler.pid)]
        for name, words in (("run", ["kepipe", "run"]), ("delivery", ["kepipe", "track"])):
            if processes := world.processes(words):
                found[name] = processes
        return found

    def strike(self) -> str:
        """kill -9 a process; its description, "" if there was none."""
        victims = self.victims()
        names = [*sorted(victims), *self.servers]
        weights = np.array([{"run": 6.0, "scheduler": 3.0}.get(name, 2.0) for name in names])
        if not names:
            return ""
        name = str(self.rng.choice(names, p=weights / weights.sum()))
        if name in self.servers:
            self.servers[name].kill()
            self.servers[name].start()
        else:
            for process in victims[name][:1]:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        if name == "scheduler":
            assert self.world.scheduler is not None
            self.world.scheduler.wait()
            self.world.serve()
        self.killed[name] += 1
        return name

    def rage(self, kills: int, longest: float) -> None:
        """Kill so many, each after a pause of up to `longest` seconds; new text arrives whenever all is worked on."""
        number = 0
        while sum(self.killed.values()) < kills:
            time.sleep(float(self.rng.uniform(0.1, longest)))
            if self.world.is_quiet:
                number += 1
                self.world.write(number)
                continue
            self.strike()
