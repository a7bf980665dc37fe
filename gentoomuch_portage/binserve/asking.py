"""A run that takes packages from binhosts: each is asked for its index once, and waited for once."""

from pathlib import Path

from gentoomuch_portage import console
from gentoomuch_portage.binpkgs.pools import Pools, proxy_of_environment
from gentoomuch_portage.binserve import index, refused, trust
from gentoomuch_portage.binserve.errors import BinhostSilent, IndexRefused
from gentoomuch_portage.binserve.policy import Policy, policies
from gentoomuch_portage.portage_adapter.binpkgs import Place
from gentoomuch_portage.settings import Settings


class Asking:
    """What Portage is told of binhosts in one run."""

    def __init__(self, settings: Settings, profile: str) -> None:
        self.cache = settings.cache / "binhosts" / profile
        """Where their indexes are kept."""
        self._settings = settings
        self._folder = settings.cache / "refused" / profile
        self._policies = {one.url: one for one in policies(settings)}
        self._asked: dict[str, str] = {}
        refused.forget(self._folder)

    def bring(self, url: str, place: Path) -> str | None:
        """Bring the index of a binhost up to date; what stands against the binhost. None: it is not for us to say.

        Raises:
            BinhostSilent, IndexRefused: that may not be, for the binhost has ``fallback = false``.
        """
        policy = self._policies.get(url.rstrip("/"))
        if policy is None:
            return None
        if url not in self._asked:
            self._asked[url] = self._brought(policy, place)
        return self._asked[url]

    def _brought(self, policy: Policy, place: Path) -> str:
        if refused.silent(self._folder, f"{policy.url}/"):
            return "it is dead"
        home = trust.home(self._settings, [trust.pinned(self._settings, policy.key)])
        pools = _pools(policy.timeout)
        try:
            index.brought(policy, home, place, pools)
        except (BinhostSilent, IndexRefused) as error:
            if not policy.fallback:
                raise
            console.warn(f"{error.message}: nothing is taken from it in this run")
            return error.message
        finally:
            pools.close()
        return ""

    def failed(self, place: Place, cpv: str, why: str) -> None:
        """Remember that a package could not be had, or did not hold."""
        policy = self._of(place.url)
        if policy is not None and not policy.fallback:
            return
        lasting = "give it out" not in why
        if not lasting and policy is not None and not self._alive(policy):
            refused.dead(self._folder, policy.url, "its binhost does not answer")
            return
        refused.remember(self._folder, place, cpv, why, lasting=lasting)

    def dead(self, url: str) -> bool:
        """Whether the binhost of a URL has been found dead in this run."""
        return bool(refused.silent(self._folder, url))

    def refused(self, place: Place) -> str:
        """Why a package was refused; empty where it was not."""
        return refused.against(self._folder, place)

    def _alive(self, policy: Policy) -> bool:
        pools = _pools(policy.timeout)
        try:
            index.get(pools, f"{policy.url}/Packages.asc", most=1 << 16)
        except BinhostSilent:
            return False
        finally:
            pools.close()
        return True

    def _of(self, url: str) -> Policy | None:
        return next((one for one in self._policies.values() if url.startswith(f"{one.url}/")), None)


def _pools(timeout: int) -> Pools:
    return Pools(proxy_of_environment, index.patience(timeout))
