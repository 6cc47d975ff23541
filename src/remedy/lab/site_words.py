r"""The vocabulary of the lab's site database, and how values are written as SQL literals.

Decides words and escaping only. Literals are those of mariadb-dump without --hex-blob, for example `'it\'s 10\n'` and
`_binary 'GIF\0'`.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "AGENTS",
    "EMOJI",
    "FAMILY",
    "GIVEN",
    "MEDIA",
    "ODD",
    "PHRASES",
    "REMARKS",
    "SECTIONS",
    "STATES",
    "binary",
    "quoted",
]

_PHRASES: Final = """
关于 进一步 加强 网络安全 应急演练 工作的 通知 各部门 请于 本周五前 完成 数据备份 检查 并上报 结果
机房 巡检 安排 值班表 服务器 数据库 恢复 演练 按照 年度 计划 组织 开展 专项 排查 发现 隐患 立即
整改 落实 责任 到人 便民 服务 大厅 办理 时间 调整为 上午九点 至 下午五点 网上 预约 材料 清单
详见 附件 农产品 展销会 将于 下月 举行 欢迎 市民 参加 优惠 活动 订单 发货 延迟 说明 快递 停运
地区 陆续 恢复 正常 招标 公告 项目 编号 采购 办公 设备 一批 预算 金额 万元 公示 期 五个工作日
停水 通知 因 管道 维修 涉及 小区 居民 提前 储水 道路 施工 绕行 方案 学校 开学 报到 须知 医保
缴费 标准 社保 卡 补办 流程 图书馆 新书 推荐 博物馆 免费 开放 志愿者 招募 垃圾 分类 指南 空气
质量 日报 台风 预警 信号 蓝色 防汛 物资 储备 财政 决算 报告 审计 意见 会议 纪要 领导 讲话 精神
学习 体会 党员 活动日 消防 安全 培训 用电 检查 电梯 年检 合格
"""
PHRASES: Final = tuple(_PHRASES.split())
SECTIONS: Final = ("通知公告", "政务公开", "便民服务", "招标采购", "新闻动态", "商城活动", "政策法规", "人事信息")
FAMILY: Final = tuple(
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许邓冯韩曹曾彭萧蔡潘田董袁于余叶蒋杜苏魏程吕丁沈任姚卢"
)
GIVEN: Final = tuple("伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛明超霞平刚桂华建国春梅海燕文博雨欣子涵梓轩一诺思远佳怡志鹏晓")
EMOJI: Final = ("", "", "", "😀", "🎉", "👍🏽", "🇨🇳", "❤️", "👨‍👩‍👧", "🐉")
STATES: Final = ("待付款", "已付款", "已发货", "已完成", "已取消")
REMARKS: Final = (
    "请尽快发货",
    "送货前电话联系",
    "放门卫室",
    "周末送",
    "it's a gift, don't show the price",
    'say "hello" \\ 不要辣',
    "第一行\n第二行\t制表",
    "发票抬头: 某某有限公司; 税号另附",
    "100% 满意 -- 会再来 #1 /* 好评 */",
)
#: Sentences that have led parsers astray, already escaped as literals.
ODD: Final = (
    '他说: \\"可以\\" -- 然后走了。',
    "路径 C:\\\\temp\\\\备份; 第二条。",
    "It\\'s done; the rest follows.",
    "INSERT INTO 只是一个词。",
    "😀🎉 欢迎光临 (`本店`) !",
)
AGENTS: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 MicroMessenger/8.0.44",
    "Mozilla/5.0 (Linux; Android 13; V2244A) AppleWebKit/537.36 Chrome/116.0 Mobile Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:121.0) Gecko/20100101 Firefox/121.0",
    "curl/7.88.1",
    "SomeSpider/2.0 (like 'others')",
)
#: Media type, suffix and first bytes of attachments.
MEDIA: Final = (
    (b"application/pdf", b"pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"),
    (b"image/jpeg", b"jpg", b"\xff\xd8\xff\xe0\0\x10JFIF\0"),
    (b"image/png", b"png", b"\x89PNG\r\n\x1a\n"),
    (b"application/zip", b"zip", b"PK\x03\x04"),
)

#: What mysql_real_escape_string() escapes; the backslash first.
_ESCAPES: Final = (
    (b"\\", b"\\\\"),
    (b"\0", b"\\0"),
    (b"\n", b"\\n"),
    (b"\r", b"\\r"),
    (b"\x1a", b"\\Z"),
    (b"'", b"\\'"),
    (b'"', b'\\"'),
)


def quoted(text: str) -> bytes:
    """A string literal."""
    return b"'" + _escaped(text.encode()) + b"'"


def binary(value: bytes) -> bytes:
    """A literal of bytes."""
    return b"_binary '" + _escaped(value) + b"'"


def _escaped(value: bytes) -> bytes:
    for plain, written in _ESCAPES:
        value = value.replace(plain, written)
    return value
