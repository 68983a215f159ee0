"""What can go wrong with the learner's memory, in words for the learner.

    Exception
    └── StoreError             carries `path`, `message`, `remedy`, `detail`
        ├── StoreUnreadable    not a database, damaged, no permission, not reachable, not Viva's
        ├── StoreLocked        another program kept it locked for longer than we wait
        ├── StoreReadOnly      it can be read but not written
        ├── StoreFull          no room left where it lives
        └── StoreTooNew        a newer Viva wrote it

A password never appears in `path`. The original error is the `__cause__`.
"""

from typing import ClassVar

from language import Text


class StoreError(Exception):
    """The store cannot do what was asked. Nothing was written, what was acknowledged before is untouched."""

    sentence: ClassVar[Text] = Text("Your progress at {path} cannot be used.", "无法使用位于 {path} 的学习记录。")
    remedy: ClassVar[Text] = Text("Look at the log for the cause.", "请查看日志了解原因。")

    def __init__(self, path: str, detail: str = "") -> None:
        self.path = path
        self.detail = detail
        self.message = Text(self.sentence.en.format(path=path), self.sentence.zh.format(path=path))
        super().__init__(f"{self.message.en} {self.remedy.en}" + (f" ({detail})" if detail else ""))


class StoreUnreadable(StoreError):
    """The database is not a database, is damaged, is forbidden to us, or cannot be reached."""

    sentence = Text("Your progress at {path} cannot be read.", "无法读取位于 {path} 的学习记录。")
    remedy = Text(
        "Check that this is a Viva database and that you may open it. If it is damaged, move it aside — do not "
        "delete it — and restore an export; Viva starts a new one when it is gone.",
        "请确认它是 Viva 的数据库，并且你有权限打开。如果文件已损坏，请先把它移到别处（不要删除），再导入备份；"
        "原位置没有文件时，Viva 会新建一个。",
    )


class StoreLocked(StoreError):
    """Another program holds the database."""

    sentence = Text("Your progress at {path} is in use by another program.", "位于 {path} 的学习记录正被其他程序占用。")
    remedy = Text(
        "Close the other program — a database browser, a backup, a sync tool — and try again.",
        "请关闭占用它的程序（数据库浏览器、备份或同步工具），然后重试。",
    )


class StoreReadOnly(StoreError):
    """The database can be read but not written."""

    sentence = Text("Your progress at {path} can be read but not saved.", "位于 {path} 的学习记录只能读取，无法保存。")
    remedy = Text(
        "Allow writing to the file and its folder, or set VIVA_DATA_DIR to a folder you own.",
        "请开放该文件及其所在文件夹的写权限，或把 VIVA_DATA_DIR 设为你有权写入的文件夹。",
    )


class StoreFull(StoreError):
    """There is no room left for another review."""

    sentence = Text("There is no room left to save to {path}.", "{path} 所在的磁盘已满，无法保存。")
    remedy = Text("Free some disk space and try again.", "请清理磁盘空间后重试。")


class StoreTooNew(StoreError):
    """The database was written by a newer Viva, whose tables this one does not know."""

    sentence = Text(
        "Your progress at {path} was saved by a newer Viva.", "位于 {path} 的学习记录由更新版本的 Viva 保存。"
    )
    remedy = Text(
        "Update Viva, or set VIVA_DATA_DIR to another folder to start afresh with this version.",
        "请更新 Viva；若要用当前版本重新开始，请把 VIVA_DATA_DIR 设为其他文件夹。",
    )
