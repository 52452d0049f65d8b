"""Recognition of aid products: the application, its steps and notice, lapse, revocation and spot checks."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError

from marketplace.catalog.certificates.rules import lift_suspension, revoke_certificate, suspend_certificate
from marketplace.catalog.indexing import documents_of
from marketplace.catalog.models import IndexTask
from marketplace.catalog.recognition.checks import draw_checks, record_check
from marketplace.catalog.recognition.draw import draw_sample
from marketplace.catalog.recognition.models import (
    CheckResult,
    Recognition,
    RecognitionEvent,
    RecognitionState as S,
    SpotCheck,
    SpotCheckRound,
)
from marketplace.catalog.recognition.queries import Show, recognised_of, recognitions_visible_to, tasks_of
from marketplace.catalog.recognition.rules import (
    apply_recognition,
    apply_recognition_outcome,
    lapse_recognitions,
    revoke_recognition,
)
from marketplace.core.clock import today
from marketplace.core.errors import Conflict, DomainError, Forbidden, NotFound
from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role
from marketplace.registry.models import CooperativeState
from marketplace.registry.reviews.models import CaseState, Decision, ReviewCase, ReviewKind
from marketplace.registry.reviews.rules import answer_objection, close_notices, decide_step, file_objection
from tests.factories.certificates import certified
from tests.factories.identity import official_with
from tests.factories.registry import COUNTY, CooperativeFactory, actor_at
from tests.factories.reviews import default_steps, reviewers
from tests.factories.trade import CategoryFactory, offer

OUTCOMES = {ReviewKind.PRODUCT_RECOGNITION: apply_recognition_outcome}
WISH = {
    "quality": "一级冷榨，县质检所检验合格",
    "price_fen": 5_000,
    "reference_fen": 5_200,
    "price_source": "县农业农村局 2026 年 5 月价格监测",
    "linkage": "订单收购保底价，带动 12 户",
}
ID_NUMBER = "360102199003078515"


@pytest.fixture
def offered(session, clock):
    default_steps()
    return offer(session, CooperativeFactory())


@pytest.fixture
def product(offered):
    return offered.listing.product


@pytest.fixture
def county():
    return actor_of(official_with(Role.COUNTY_REVIEWER))


@pytest.fixture
def supervisor():
    return actor_of(official_with(Role.SUPERVISOR, "36"))


def apply(session, product, **changes):
    actor = changes.pop("actor", None) or actor_at(product.cooperative)
    return apply_recognition(session, actor, product=product, **(WISH | changes))


def case_of(session):
    query = select(ReviewCase).where(ReviewCase.kind == ReviewKind.PRODUCT_RECOGNITION)
    return session.scalars(query.order_by(ReviewCase.id.desc()).limit(1)).one()


def decide(session, actor):
    """Somebody passes the step at hand."""
    decide_step(session, actor, case_of(session), decision=Decision.PASS, comment="同意", outcomes=OUTCOMES)


def pass_to_notice(session):
    """Village, township and the sector pass it, each another person; the notice begins tomorrow."""
    people = reviewers()
    for actor in (people.village, people.township, people.county):
        decide(session, actor)
    return people


def recognise(session, product, clock, **changes):
    found = apply(session, product, **changes)
    pass_to_notice(session)
    clock.advance(days=8)
    assert close_notices(session, outcomes=OUTCOMES) == 1
    decide(session, actor_of(official_with(Role.COUNTY_REVIEWER)))
    return found


def rows(session):
    tables = (Recognition, RecognitionEvent, ReviewCase)
    return [session.scalar(select(func.count()).select_from(table)) for table in tables]


def shown(session, product):
    return recognised_of(session, [product.id], today()).get(product.id)


def test_a_product_is_recognised_after_every_step_and_a_notice_without_objections(
    session, offered, product, clock
):
    found = apply(session, product)
    assert (found.state, shown(session, product)) == (S.UNDER_REVIEW, None)
    pass_to_notice(session)
    step = case_of(session).steps[3]
    assert (step.notice_from, step.notice_until) == (date(2026, 6, 2), date(2026, 6, 8))
    assert "山茶油" in step.notice_text
    clock.advance(days=7)
    assert close_notices(session, outcomes=OUTCOMES) == 0
    clock.advance(days=1)
    close_notices(session, outcomes=OUTCOMES)
    decide(session, actor_of(official_with(Role.COUNTY_REVIEWER)))
    assert (found.state, found.recognised_on, shown(session, product)) == (
        S.RECOGNISED,
        date(2026, 6, 9),
        found,
    )
    (document,) = documents_of(session, [offered.listing])
    assert (document.certificates, "扶贫产品" in document.keywords) == (("recognised",), True)
    assert [one.deed.value for one in session.scalars(select(RecognitionEvent))] == ["applied", "recognised"]


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"quality": " "}, "quality", "words_missing"),
        ({"quality": "好" * 301}, "quality", "words_long"),
        ({"linkage": f"带动户主 {ID_NUMBER}"}, "linkage", "personal_number_in_public_text"),
        (
            {"quality": "身份证３６０１０２１９９００３０７８５１５"},
            "quality",
            "personal_number_in_public_text",
        ),
        ({"price_source": "电话 138 0000 0000"}, "price_source", "personal_number_in_public_text"),
        ({"price_fen": 0}, "price", "price"),
        ({"reference_fen": 0}, "reference", "reference"),
        ({"price_fen": 5_201}, "price", "above_average"),
    ],
)
def test_an_application_that_cannot_be_is_refused(session, product, changes, field, code):
    with pytest.raises(DomainError) as refused, session.begin_nested():
        apply(session, product, **changes)
    assert (refused.value.field, refused.value.code) == (field, code)
    assert rows(session) == [0, 0, 0]


def test_an_average_is_not_stated_above_what_is_known_of_the_same_goods(session, product, clock):
    for price_fen in (4_600, 4_800, 5_000):
        offer(session, CooperativeFactory(), tiers=((1, price_fen),))
    with pytest.raises(DomainError) as refused, session.begin_nested():
        apply(session, product, price_fen=4_000, reference_fen=4_801)
    assert (refused.value.field, refused.value.params) == ("reference", {"yuan": "48.00"})
    assert rows(session) == [0, 0, 0]
    assert apply(session, product, price_fen=4_000, reference_fen=4_800).state is S.UNDER_REVIEW


def test_goods_that_need_a_certificate_are_recognised_with_one_in_force(session, product):
    CategoryFactory().needs_certificate = True
    session.flush()
    old = certified(product, expires_on=date(2026, 6, 1))
    for certificate, code in ((None, "certificate_missing"), (old, "certificate_not_in_force")):
        with pytest.raises(DomainError) as refused, session.begin_nested():
            apply(session, product, certificate=certificate)
        assert (refused.value.field, refused.value.code) == ("certificate", code)
    assert rows(session) == [0, 0, 0]
    assert apply(session, product, certificate=certified(product)).state is S.UNDER_REVIEW


def test_only_the_admitted_cooperative_applies_and_once(session, product):
    with pytest.raises(NotFound), session.begin_nested():
        apply(session, product, actor=actor_at(CooperativeFactory()))
    product.cooperative.state = CooperativeState.UNDER_REVIEW
    session.flush()
    with pytest.raises(DomainError) as refused, session.begin_nested():
        apply(session, product)
    assert refused.value.code == "not_admitted"
    product.cooperative.state = CooperativeState.ADMITTED
    apply(session, product)
    with pytest.raises(Conflict), session.begin_nested():
        apply(session, product)
    assert rows(session) == [1, 1, 1]
    values = {"public_no": "RD-TWICE", "product_id": product.id, "cooperative_id": product.cooperative_id, **WISH,
              "state": S.UNDER_REVIEW}  # fmt: skip
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(insert(Recognition).values(values))
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(update(Recognition).values(price_fen=5_201))


def test_what_was_returned_is_mended_under_its_number(session, product):
    found = apply(session, product)
    village = reviewers().village
    case = case_of(session)
    decide_step(session, village, case, decision=Decision.RETURN, comment="补充检验报告", outcomes=OUTCOMES)
    assert found.state is S.RETURNED
    assert apply(session, product, quality="附检验报告") is found
    assert (found.state, found.quality, rows(session)) == (S.UNDER_REVIEW, "附检验报告", [1, 3, 2])


def test_an_objection_holds_the_recognition_until_it_is_answered(session, product, clock):
    found = apply(session, product)
    people = pass_to_notice(session)
    third = actor_of(official_with(Role.COUNTY_REVIEWER))
    clock.advance(days=2)
    objection = file_objection(session, case_of(session), text="价格比市场高")
    assert objection.public_no.startswith("O-")
    clock.advance(days=10)
    assert close_notices(session, outcomes=OUTCOMES) == 0
    assert found.state is S.UNDER_REVIEW
    with pytest.raises(DomainError) as refused, session.begin_nested():
        answer_objection(
            session, third, objection, upheld=False, answer=f"已问过 {ID_NUMBER}", outcomes=OUTCOMES
        )
    assert refused.value.field == "answer"
    with pytest.raises(Forbidden), session.begin_nested():
        answer_objection(session, people.county, objection, upheld=False, answer="已核实", outcomes=OUTCOMES)
    answer_objection(session, third, objection, upheld=False, answer="已核实，低于平均价", outcomes=OUTCOMES)
    assert close_notices(session, outcomes=OUTCOMES) == 1
    decide(session, third)  # who answered the objection may decide
    assert found.state is S.RECOGNISED


def test_an_objection_that_is_upheld_refuses_it(session, product, clock):
    found = apply(session, product)
    pass_to_notice(session)
    clock.advance(days=2)
    objection = file_objection(session, case_of(session), text="不是本村产的")
    third = actor_of(official_with(Role.COUNTY_REVIEWER))
    answer_objection(session, third, objection, upheld=True, answer="属实", outcomes=OUTCOMES)
    assert (found.state, case_of(session).state) == (S.REJECTED, CaseState.REJECTED)
    assert apply(session, product) is not found


def test_a_recognition_lapses_with_its_certificate_but_not_with_a_suspension(session, product, clock, county):
    held = certified(product)
    found = recognise(session, product, clock, certificate=held)
    suspend_certificate(session, county, held, reason="抽检不合格")
    assert (shown(session, product), lapse_recognitions(session), found.state) == (None, 0, S.RECOGNISED)
    lift_suspension(session, county, held, reason="复检合格")
    assert shown(session, product) is found
    revoke_certificate(session, county, held, reason="整改不到位")
    assert shown(session, product) is None
    before = session.scalar(select(func.count()).select_from(IndexTask))
    assert (lapse_recognitions(session), found.state, found.ended_on) == (1, S.LAPSED, today())
    assert lapse_recognitions(session) == 0
    assert session.scalar(select(func.count()).select_from(IndexTask)) == before + 1


def test_a_renewed_certificate_keeps_the_recognition(session, product, clock):
    found = recognise(session, product, clock, certificate=certified(product, expires_on=date(2026, 6, 20)))
    certified(product, issued_on=date(2026, 6, 10), expires_on=date(2029, 6, 10))
    clock.advance(days=30)
    assert (shown(session, product), lapse_recognitions(session)) == (found, 0)


def test_the_badge_is_off_the_day_the_certificate_ends(session, product, clock):
    found = recognise(session, product, clock, certificate=certified(product, expires_on=date(2026, 6, 20)))
    clock.set_to(clock.now.replace(day=19))
    assert shown(session, product) is found
    clock.advance(days=1)
    assert (shown(session, product), lapse_recognitions(session), found.state) == (None, 1, S.LAPSED)


def test_a_recognition_lapses_with_its_cooperative(session, product, clock):
    found = recognise(session, product, clock)
    product.cooperative.state = CooperativeState.SUSPENDED
    session.flush()
    assert shown(session, product) is None
    assert (lapse_recognitions(session), found.state) == (1, S.LAPSED)


def test_the_county_revokes_with_a_reason_that_may_be_public(session, product, clock, county):
    found = recognise(session, product, clock)
    for reason in ("", f"涉及 {ID_NUMBER}"):
        with pytest.raises(DomainError) as refused, session.begin_nested():
            revoke_recognition(session, county, found, reason=reason)
        assert (refused.value.field, found.state) == ("reason", S.RECOGNISED)
    for actor, refusal in (
        (actor_at(product.cooperative), Forbidden),
        (actor_of(official_with(Role.COUNTY_REVIEWER, "360827")), NotFound),
    ):
        with pytest.raises(refusal), session.begin_nested():
            revoke_recognition(session, actor, found, reason="弄虚作假")
    revoke_recognition(session, county, found, reason="弄虚作假")
    assert (found.state, shown(session, product)) == (S.REVOKED, None)
    with pytest.raises(Conflict), session.begin_nested():
        revoke_recognition(session, county, found, reason="弄虚作假")
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(update(RecognitionEvent).values(reason=""))


# --- spot checks ---


@pytest.fixture
def recognised(session, clock):
    """Three recognised products of three cooperatives."""
    default_steps()
    found = []
    for _ in range(3):
        product = offer(session, CooperativeFactory()).listing.product
        found.append(
            Recognition(
                product=product,
                cooperative_id=product.cooperative_id,
                **WISH,
                state=S.RECOGNISED,
                recognised_on=today() - timedelta(days=30),
            )
        )
    session.add_all(found)
    session.flush()
    return found


def test_a_sample_can_be_drawn_again_by_anyone(session, recognised, supervisor):
    drawn = draw_checks(session, supervisor, region_code=COUNTY, size=2)
    assert (drawn.population, drawn.size) == (3, 2)
    checks = session.scalars(select(SpotCheck).order_by(SpotCheck.id)).all()
    numbers = [one.public_no for one in recognised]
    assert [one.recognition.public_no for one in checks] == draw_sample(numbers, 2, drawn.seed)
    assert [task.count for task in tasks_of(session, supervisor)] == [2]
    assert draw_checks(session, supervisor, region_code="36", size=1).population == 1


def test_the_sample_of_a_seed_is_always_the_same():
    numbers = ["RD-A", "RD-B", "RD-C", "RD-D"]
    assert draw_sample(numbers, 2, "5f") == draw_sample(numbers[::-1], 2, "5f")
    assert len({tuple(draw_sample(numbers, 2, str(seed))) for seed in range(50)}) > 6


@pytest.mark.parametrize(
    ("region_code", "size", "field"),
    [
        (COUNTY, 0, "size"),
        (COUNTY, 4, "size"),
        ("999999", 1, "region_code"),
        ("360000000000", 1, "region_code"),
    ],
)
def test_a_sample_that_cannot_be_is_refused(session, recognised, supervisor, region_code, size, field):
    with pytest.raises(DomainError) as refused, session.begin_nested():
        draw_checks(session, supervisor, region_code=region_code, size=size)
    assert refused.value.field == field
    assert session.scalar(select(func.count()).select_from(SpotCheckRound)) == 0


def test_a_product_that_fails_loses_its_recognition(session, recognised, supervisor, county):
    draw_checks(session, supervisor, region_code=COUNTY, size=3)
    bad, good, _open = session.scalars(select(SpotCheck).order_by(SpotCheck.id)).all()
    for note in ("", f"户主 {ID_NUMBER} 不知情"):
        with pytest.raises(DomainError) as refused, session.begin_nested():
            record_check(session, supervisor, bad, passed=False, note=note)
        assert (refused.value.field, bad.result) == ("reason", CheckResult.WAITING)
    with pytest.raises(Forbidden), session.begin_nested():
        record_check(session, county, bad, passed=False, note="不合格")
    record_check(session, supervisor, bad, passed=False, note="产地不符")
    record_check(session, supervisor, good, passed=True, note="账实相符")
    assert (bad.recognition.state, good.recognition.state) == (S.REVOKED, S.RECOGNISED)
    with pytest.raises(Conflict), session.begin_nested():
        record_check(session, supervisor, bad, passed=True, note="再看")
    deeds = session.scalars(
        select(RecognitionEvent.deed).where(RecognitionEvent.recognition_id == bad.recognition_id)
    )
    assert [deed.value for deed in deeds] == ["check_drawn", "check_failed", "revoked"]
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(update(SpotCheckRound).values(seed="0"))


def test_only_the_province_draws(session, recognised, county):
    with pytest.raises(Forbidden), session.begin_nested():
        draw_checks(session, county, region_code=COUNTY, size=1)
    assert session.scalar(select(func.count()).select_from(SpotCheck)) == 0


def test_each_sees_the_recognitions_of_its_own_place(session, recognised, supervisor, county):
    def seen(actor, show=Show.ALL):
        return len(session.scalars(recognitions_visible_to(actor, show)).unique().all())

    own = actor_at(recognised[0].product.cooperative)
    elsewhere = actor_of(official_with(Role.COUNTY_REVIEWER, "360827"))
    assert [seen(actor) for actor in (supervisor, county, own, elsewhere)] == [3, 3, 1, 0]
    assert [seen(county, show) for show in (Show.RECOGNISED, Show.ENDED, Show.UNDER_REVIEW)] == [3, 0, 0]
