"""The texts that the tiny base's tokenizer splits exactly as Qwen3-VL's does.

They are the texts of `configs/tasks` with the answers made from them, the training questions and answers of the base,
frame timestamps, label words and labels that users may choose, and common words of prompts. Other texts are split by
the same merges as far as they go, then into smaller pieces.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tools.tiny_base.questions import every_text
from vigil.config import config_root, read_yaml
from vigil.questions import list_questions, load_question
from vigil.tiny import TASK_FILE

VERDICT_WORDS: Final = (
    "是的", "没有", "是", "否", "有", "无", "不是", "没", "正常", "异常", "报警", "Yes", "No", "yes", "no", "YES", "NO",
    "alarm", "normal", "Alarm", "Normal", "abnormal", "Abnormal", "True", "False", "true", "false",
)  # fmt: skip
LABELS: Final = (
    "周界翻越", "禁区闯入", "夜间徘徊", "跌倒", "剧烈冲突", "危险工具", "烟雾", "异常声响", "设备异常", "正常",
    *"ABCDEFGHIJ",
)  # fmt: skip
_ROLES: Final = ("system\n", "user\n", "assistant\n", "\n")
_EVERYDAY: Final = (
    "请分析这个视频,是否有人在走路等行为。如果有,请回答“是的”,如果没有,请回答“没有”,然后对视频进行描述和分析",
    "这是监控画面，请判断视频中是否有人在做什么，回答是或者不是，然后说明原因。根据以上内容，只回答。",
    "请看这段监控视频。他们正在一起，没有异常，正常。出现了什么行为？如果有，请先回答再描述。地面上的人，时间，位置。",
    "请只回答一个字。请用一句话回答。请回答是或否，不要输出其他文字。请从以下选项中选择一个：",
    "画面中是否有人打架？请先回答“是的”或“没有”。请描述画面中发生了什么。描述一下第三秒到第五秒。",
    "以上是一段监控视频中按时间顺序的帧画面。问题是：人工已经确认，正确的结论是",
    'Look at this video: is there unusual behaviour? Answer "Yes" if there is, "No" if there is not, '
    "then describe and analyse what happens.",
    "You are watching a surveillance camera. Please answer yes or no first, then describe what the people do. "
    "Is there any one in this video? The video shows some persons who are near the door. Answer with one word. "
    "In these frames, does anything unusual happen? If so, say where and when, in one short sentence.",
    "People walk or stand calmly. Everyday activity is seen. Everyone moves quickly with their arms on the ground.",
    "You are a helpful assistant. What happens in the video? Describe what you see. Answer in one sentence.",
)  # fmt: skip
_EVERYDAY_ZH: Final = """
人 有人 无人 没有人 一个人 两个人 三个人 几个人 多人 一名 两名 男子 女子 男人 女人 老人 孩子 儿童 行人 路人 人员
人物 人群 工人 保安 员工 顾客 司机 学生 身穿 穿着 衣服 上衣 裤子 帽子 头盔 背包 手机 手里 手持 拿着 红色 黑色 白色
蓝色 绿色 黄色 灰色 深色 浅色 画面 画面中 视频 视频中 图片 图像 镜头 监控 摄像头 场景 背景 室内 室外 街道 道路 路上
路边 门口 大门 走廊 楼梯 电梯 房间 办公室 商店 超市 停车场 车库 车辆 汽车 自行车 电动车 摩托车 围栏 围墙 墙 地面
地上 桌子 椅子 柜台 左边 右边 左侧 右侧 中间 中央 前面 后面 旁边 附近 上方 下方 远处 近处 白天 夜间 晚上 早上 光线
昏暗 明亮 天气 下雨 走 走路 行走 跑 跑步 奔跑 站 站着 站立 坐 坐着 躺 躺着 倒 倒地 摔倒 跌倒 蹲 弯腰 跳 跳舞 挥
挥动 手 手臂 脚 头 身体 推 拉 打 踢 抱 拥抱 打架 斗殴 打斗 冲突 肢体冲突 攻击 暴力 推搡 追 追赶 争吵 说话 交谈 聊天
打电话 抽烟 吸烟 偷 偷窃 翻越 翻墙 攀爬 闯入 进入 离开 靠近 徘徊 停留 等待 聚集 火 火灾 烟 烟雾 着火 起火 报警 警报
异常 正常 异常行为 危险 安全 可疑 情况 行为 动作 活动 事件 发生 出现 发现 看到 可以看到 显示 表明 属于 存在 不存在
正在 已经 突然 快速 缓慢 平稳 激烈 剧烈 互相 相互 一起 单独 随后 然后 接着 最后 首先 同时 因为 所以 但是 如果 或者
以及 并且 需要 立即 关注 处理 核实 查看 请 请问 请描述 请判断 请回答 请分析 请说明 是否 是否有 有没有 什么 怎么
为什么 谁 哪里 多少 几 第 秒 分钟 小时 时间 时间顺序 开始 结束 描述 分析 说明 判断 回答 结论 原因 依据 详细 简要
总结 列出 格式 输出 只 不要 其他 文字 数字 中文 英文 一 二 三 四 五 六 七 八 九 十 的 了 着 在 和 与 及 或 就 都 也
还 很 不 没 把 被 从 到 对 为 以 上 下 里 外 前 后 中
"""
_EVERYDAY_EN: Final = """
person people man woman child nobody somebody someone anybody anyone worker guard customer crowd group camera video
picture image frame scene background street road door gate corridor stairs room office shop car vehicle bicycle
fence wall floor ground table chair left right middle front behind near far day night dark bright light rain walk
walks walking run runs running stand stands standing sit sits sitting lie lies lying fall falls falling fallen jump
dance push pushes hit hits kick hold holds hug fight fights fighting violence violent attack conflict chase argue
talk talks talking smoke smoking fire steal climb climbs enter enters leave leaves wait loiter gather alarm normal
abnormal unusual danger dangerous safe suspicious behaviour behavior action activity event happens happen appears
seen visible suddenly quickly slowly calmly together alone then first last because but and or not with without
there here this that these those is are was were has have do does did can may should please describe explain
analyse answer question what who where when why how many much which yes no one two three four five six seven eight
nine ten second seconds minute time start end list format only other words word sentence short detail red black
white blue green yellow grey shirt trousers hat bag phone hand arm leg head body the a an of in on at to from by
for it its they them their he she his her you your we our up down out into over under between around after before
while during
"""


def exact_texts() -> Iterator[str]:
    """Every text that must be split exactly as by Qwen3-VL's own tokenizer."""
    yield from _ROLES
    yield from frame_times()
    yield from (*VERDICT_WORDS, *LABELS, *_EVERYDAY, *_EVERYDAY_ZH.split())
    for word in (*VERDICT_WORDS, *LABELS):
        yield from (f" {word}", f"“{word}”", f'"{word}"', f"{word}，", f"{word}, ", f"{word}。", f"{word}.", f"{word},")
    for word in _EVERYDAY_ZH.split():
        yield f"，{word}"
    for word in _EVERYDAY_EN.split():
        yield from (word, word.capitalize(), f" {word}")
    yield from _with_openings(every_text())
    for texts in task_texts():
        yield from texts


def label_words() -> Iterator[str]:
    """The words of labels that no training of the base holds: those of tasks with other labels than two."""
    for question in list_questions():
        if question.labels and not question.has_two_labels:
            yield from question.words().values()


def read_and_said() -> Iterator[str]:
    """What the base was asked and says, and the question of the task `fight`, which demos and tests ask it."""
    yield from every_text()
    fight = load_question(TASK_FILE)
    yield from (fight.text, *fight.words().values())


def frame_times() -> Iterator[str]:
    """Timestamps before pairs of frames; they cover the same tokens as those of any rate and length."""
    yield from (f"<{tenths / 10:.1f} seconds>" for tenths in range(200))


def task_texts() -> Iterator[list[str]]:
    """For each task file: every text in it, and the answers made from its label words and descriptions."""
    for path in (*sorted((config_root() / "tasks").glob("*.yaml")), TASK_FILE):
        data = read_yaml(path)
        texts = list(_strings(data))
        words = [data[key] for key in ("alarm_word", "normal_word") if key in data]
        words += [label["word"] for label in data.get("labels", ())]
        answers = [
            f"{word}{mark}{text}" for word in words for mark in ("，", ", ", ",", "。", ".") for text in ("", *texts)
        ]
        yield texts + answers


def _with_openings(texts: list[str]) -> Iterator[str]:
    """Texts alone, and as they follow a word or a sentence."""
    for text in texts:
        yield from (text, f"，{text}", f" {text}", f"。{text}")


def _strings(data: Any) -> Iterator[str]:
    """Every string in YAML data, at any depth, but the names of folders, which no model reads."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for key, value in data.items():
            if not str(key).endswith("folders"):
                yield from _strings(value)
    elif isinstance(data, list):
        for value in data:
            yield from _strings(value)
