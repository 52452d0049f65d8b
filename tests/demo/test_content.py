"""The demo's goods, people and pictures."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import pytest
from PIL import Image

from marketplace.catalog.content.read import categories
from marketplace.catalog.pictures import prepare_picture
from marketplace.demo.content import demo_cooperatives, demo_listings
from marketplace.demo.pictures.draw import SCENES, draw_picture
from marketplace.linkage.models import Mechanism

EVERY = demo_listings(1000)
KEYS = [one.key for one in demo_cooperatives()]
SMALL = demo_listings()
PILOTS = {"360724", "360827", "361025"}


def test_eight_cooperatives_take_in_three_hundred_households():
    assert len(demo_cooperatives()) == 8
    assert sum(cooperative.households for cooperative in demo_cooperatives()) == 300
    for cooperative in demo_cooperatives():
        assert cooperative.story_zh
        assert cooperative.story_en.isascii()


def test_the_cooperatives_lie_in_real_villages_of_the_pilot_counties():
    path = next(Path("marketplace/registry").rglob("regions.csv*"))
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    codes = {row["code"] for row in csv.DictReader(io.StringIO(content.decode()))}
    counties = {cooperative.village_code[:6] for cooperative in demo_cooperatives()}
    assert counties == PILOTS
    assert all(one.county_code == one.village_code[:6] for one in demo_cooperatives())
    assert {cooperative.village_code for cooperative in demo_cooperatives()} <= codes
    assert len({cooperative.village_code[:9] for cooperative in demo_cooperatives()}) == 8


def test_the_small_demo_has_sixty_listings_from_every_cooperative_and_family():
    assert len(SMALL) == 60
    assert {listing.cooperative for listing in SMALL} == set(KEYS)
    paths = {row.code: row.path.split("/") for row in categories()}
    families = {paths[listing.category_code][1] for listing in SMALL}
    assert families == {row.code for row in categories() if row.path.count("/") == 1}


@pytest.mark.parametrize("name", ["赣南脐橙", "广昌白莲", "山茶油", "宁红", "笋", "井冈红米"])
def test_the_small_demo_sells_what_the_province_is_known_for(name):
    assert any(name in listing.name for listing in SMALL)


@pytest.mark.parametrize("listing", EVERY, ids=lambda listing: listing.key)
def test_a_listing_is_complete_and_fits_its_columns(listing):
    rows = {row.code: row for row in categories()}
    category = rows[listing.category_code]
    assert not any(row.parent_code == listing.category_code for row in rows.values())
    assert listing.is_certified or not category.needs_certificate
    assert 0 < len(listing.name) <= 60
    assert 0 < len(listing.specification) <= 60
    assert 0 < len(listing.unit_name) <= 10
    assert 0 < len(listing.storage) <= 120
    assert 10 <= len(listing.description) <= 120
    assert 0 < listing.net_mass_g <= listing.gross_mass_g
    assert 0 < listing.yield_bp <= 10_000
    assert all(1 <= month <= 12 for month in listing.harvest_months)
    quantities, prices = zip(*listing.tiers, strict=True)
    assert quantities[0] == 1
    assert sorted(quantities) == list(quantities)
    assert sorted(prices, reverse=True) == list(prices)


@pytest.mark.parametrize("listing", EVERY, ids=lambda listing: listing.key)
def test_linkage_terms_lie_above_the_floor_and_near_what_the_produce_costs(listing):
    floor = next(row.min_linkage_bp for row in categories() if row.code == listing.category_code)
    assert floor <= sum(listing.terms.values()) <= 10_000
    received_g = listing.net_mass_g * 10_000 / listing.yield_bp
    cost_fen = received_g * listing.farm_price_fen_per_kg / 1000
    share_fen = listing.tiers[0][1] * listing.terms[Mechanism.CONTRACT_FARMING] / 10_000
    assert 0.75 <= share_fen / cost_fen <= 1.25


def test_every_listing_has_its_own_picture():
    assert {listing.drawing for listing in EVERY} <= set(SCENES)
    assert len({(listing.drawing, listing.seed) for listing in EVERY}) == len(EVERY)


def test_every_scene_is_drawn_for_some_listing():
    assert set(SCENES) == {listing.drawing for listing in EVERY}


@pytest.mark.parametrize("drawing", ["orange-crate", "green-tea-tin", "lotus-seed", "duck"])
def test_a_picture_is_the_same_for_the_same_seed_and_may_be_uploaded(drawing):
    content = draw_picture(drawing, seed=3, words="赣南")
    assert content == draw_picture(drawing, seed=3, words="赣南")
    assert content != draw_picture(drawing, seed=4, words="赣南")
    assert Image.open(io.BytesIO(content)).size == (1200, 900)
    assert prepare_picture(content).width == 1200
