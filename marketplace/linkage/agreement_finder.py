"""Finding the agreement a row of a sheet means, by the number of the agreement or by the household, in one reading."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from marketplace.core.errors import Refused
from marketplace.core.labels import N_
from marketplace.linkage.models import Agreement, Mechanism
from marketplace.linkage.queries import version_on
from marketplace.linkage.sheet_format import SheetColumn, SheetRow
from marketplace.registry.models import Household

MOST_AGREEMENTS = 20_000

WHO_COLUMNS = (
    SheetColumn(
        "registry_no",
        N_("农户编号"),
        aliases=("户编号", "户编码", "户号", "农户编码"),
        required=False,
        help=N_("10 位户编号；和户主姓名填一样就行，同名时要填"),
    ),
    SheetColumn(
        "head_name",
        N_("户主姓名"),
        aliases=("姓名", "户主", "农户", "农户姓名"),
        required=False,
        help=N_("户主的姓名"),
    ),
    SheetColumn(
        "agreement_no",
        N_("协议编号"),
        aliases=("协议号", "合同编号", "合同号"),
        required=False,
        help=N_("一户有几份协议时才要填，印在协议页上"),
    ),
)


class AgreementFinder:
    """The agreements of one cooperative under one mechanism, found by what a row says of the household.

    `suits` narrows them, e.g. to one commodity on that day. Rows have the values of `WHO_COLUMNS`.
    """

    def __init__(
        self,
        session: Session,
        cooperative_id: int,
        mechanism: Mechanism,
        *,
        suits: Callable[[Agreement, date], bool] = lambda _agreement, _day: True,
    ) -> None:
        query = (
            select(Agreement)
            .join(Household, Household.id == Agreement.household_id)
            .where(Agreement.cooperative_id == cooperative_id, Agreement.mechanism == mechanism)
            .options(selectinload(Agreement.versions))
            .order_by(Agreement.id)
            .limit(MOST_AGREEMENTS)
        )
        self._suits = suits
        self._by_no: dict[str, Agreement] = {}
        self._by_registry_no: dict[str, list[Agreement]] = defaultdict(list)
        self._by_name: dict[str, list[Agreement]] = defaultdict(list)
        for agreement in session.scalars(query).unique():
            household = agreement.household
            self._by_no[agreement.public_no] = agreement
            self._by_registry_no[household.registry_no].append(agreement)
            self._by_registry_no[household.public_no].append(agreement)
            self._by_name[household.head_name].append(agreement)

    def agreement_of(self, row: SheetRow, day: date) -> Agreement:
        """The one agreement the row means on `day`.

        Raises Refused, naming the column, when the row names nobody, nobody of that number or name has such an
        agreement, number and name do not belong together, or several agreements are meant.
        """
        if row["agreement_no"]:
            return self._named(row)
        meant = self._household_meant(row)
        fitting = [one for one in meant if self._suits(one, day) and version_on(one, day)]
        households = {one.household_id for one in fitting or meant}
        field = "registry_no" if row["registry_no"] else "head_name"
        if len(households) > 1:
            raise Refused("same_name", N_("有几户同名，请填农户编号"), field="registry_no")
        if len(fitting) > 1:
            message = N_("这一户有几份这样的协议，请填协议编号")
            raise Refused("several_agreements", message, field="agreement_no")
        if fitting:
            return fitting[0]
        if len(meant) == 1:
            return meant[0]  # the recording rule says what does not fit
        message = N_("这一户在这天没有对应的有效协议，请先签协议或核对日期")
        raise Refused("no_agreement", message, field=field)

    def _named(self, row: SheetRow) -> Agreement:
        agreement = self._by_no.get(row["agreement_no"].upper())
        if agreement is None:
            message = N_("没有这个编号的协议，请照协议页上的编号填写")
            raise Refused("unknown_agreement", message, field="agreement_no")
        self._refuse_other_household(row, [agreement])
        return agreement

    def _household_meant(self, row: SheetRow) -> list[Agreement]:
        if row["registry_no"]:
            meant = self._by_registry_no.get(row["registry_no"].upper(), [])
            if not meant:
                message = N_("没有找到这个编号的农户，或它还没有这样的协议，请核对编号")
                raise Refused("unknown_household", message, field="registry_no")
            self._refuse_other_household(row, meant)
            return meant
        if not row["head_name"]:
            message = N_("请填农户编号、户主姓名或协议编号，至少填一样")
            raise Refused("nobody", message, field="registry_no")
        meant = self._by_name.get(row["head_name"], [])
        if not meant:
            message = N_("没有找到这个姓名的农户，或它还没有这样的协议，请核对姓名")
            raise Refused("unknown_household", message, field="head_name")
        return meant

    @staticmethod
    def _refuse_other_household(row: SheetRow, meant: list[Agreement]) -> None:
        if row["head_name"] and all(one.household.head_name != row["head_name"] for one in meant):
            raise Refused("other_name", N_("编号和姓名不是同一户，请核对"), field="head_name")
