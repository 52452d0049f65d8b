"""Generated people: names, telephone, ID and account numbers that are valid in form and belong to nobody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count
from random import Random

from marketplace.registry.identifiers import make_resident_id
from marketplace.registry.rules import HEAD, MemberDraft

SURNAMES = "刘李王张黄陈曾郭罗彭肖钟谢邱温赖廖康胡吴周叶蓝游詹董熊"
MALE = (
    *(
        "福生",
        "水根",
        "国平",
        "小明",
        "建军",
        "长根",
        "春发",
        "木生",
        "石林",
        "志强",
        "冬生",
        "金华",
        "文辉",
        "祥云",
    ),
    *(
        "新民",
        "德胜",
        "光明",
        "庆祥",
        "瑞林",
        "贤才",
        "远华",
        "茂林",
        "太平",
        "永红",
        "绍武",
        "会昌",
        "启发",
        "南生",
    ),
)
FEMALE = (
    *(
        "秀英",
        "桂花",
        "冬梅",
        "小兰",
        "春香",
        "玉莲",
        "金秀",
        "菊香",
        "美玲",
        "红梅",
        "细妹",
        "雪莲",
        "慧芳",
        "巧云",
    ),
    *(
        "九妹",
        "来娣",
        "月娥",
        "招弟",
        "彩霞",
        "素珍",
        "翠萍",
        "水秀",
        "香莲",
        "凤英",
        "银花",
        "爱华",
        "丽娟",
        "海英",
    ),
)
NEXT_MALE = ("俊杰", "志远", "浩然", "宇轩", "子豪", "嘉伟", "文博", "思远", "家乐", "明轩")
NEXT_FEMALE = ("雨欣", "思琪", "佳怡", "梦婷", "欣妍", "诗涵", "雅婷", "静怡", "子萱", "若兰")
TRIES = 60  # after so many a name may come a second time
SEQUENCES = 50  # make_resident_id gives a county a hundred on a day, every second one to each sex


@dataclass(frozen=True)
class Home:
    """A household to be: its register number, its head's name and persons, the head first."""

    registry_no: str
    members: tuple[MemberDraft, ...]

    @property
    def head_name(self) -> str:
        """The name of the head."""
        return self.members[0].name


class People:
    """Makes people out of one stream of random numbers."""

    def __init__(self, random: Random, *, today: date) -> None:
        self.random = random
        self.today = today
        self._phones, self._homes, self._accounts = count(1), count(1), count(1)
        self._named: set[str] = set()
        self._born: dict[tuple[str, date, bool], int] = {}

    def name(self, *, is_male: bool | None = None, surname: str = "", is_young: bool = False) -> str:
        """A name of three characters, new where that is possible: who signs for both sides must not be one person."""
        male = self.random.random() < 0.5 if is_male is None else is_male
        given = (NEXT_MALE if male else NEXT_FEMALE) if is_young else (MALE if male else FEMALE)
        for _try in range(TRIES):
            name = (surname or self.random.choice(SURNAMES)) + self.random.choice(given)
            if name not in self._named:
                break
        self._named.add(name)
        return name

    def phone(self) -> str:
        """A mobile number out of one block."""
        return f"1390000{next(self._phones):04d}"

    def bank_account(self) -> str:
        """An account number of 19 digits."""
        return f"62280000{next(self._accounts):011d}"

    def id_number(self, county_code: str, *, age: int, is_male: bool) -> str:
        """A resident ID of somebody about `age` years old; never the same twice."""
        while True:
            born_on = self.today - timedelta(days=age * 365 + self.random.randrange(30, 330))
            place = self._born.get((county_code, born_on, is_male), 0)
            if place < SEQUENCES:
                self._born[county_code, born_on, is_male] = place + 1
                return make_resident_id(county_code, born_on, 2 * place + (0 if is_male else 1))

    def home(self, county_code: str) -> Home:
        """A household of one to five persons."""
        registry_no = f"36{next(self._homes):08d}"
        is_male, age = self.random.random() < 0.85, self.random.randrange(38, 74)
        surname = self.random.choice(SURNAMES)
        kin: list[tuple[str, str, int, bool]] = [
            (HEAD, self.name(is_male=is_male, surname=surname), age, is_male)
        ]
        if self.random.random() < 0.8:
            kin.append(
                ("配偶", self.name(is_male=not is_male), max(24, age - self.random.randrange(6)), not is_male)
            )
        for _child in range(self.random.choice((0, 1, 1, 2))):
            boy = self.random.random() < 0.5
            name = self.name(is_male=boy, surname=surname, is_young=True)
            kin.append(("之子" if boy else "之女", name, max(4, age - self.random.randrange(22, 32)), boy))
        if age < 62 and self.random.random() < 0.3:
            kin.append(("之母", self.name(is_male=False), age + self.random.randrange(20, 27), False))
        members = tuple(
            MemberDraft(
                f"{registry_no}{place:02d}",
                name,
                relation,
                self.id_number(county_code, age=years, is_male=male),
            )
            for place, (relation, name, years, male) in enumerate(kin, start=1)
        )
        return Home(registry_no, members)
