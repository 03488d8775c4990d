"""Speech: the alarm as a sentence, spoken by espeak-ng into a WAV file, which a player may play."""

from asyncio import to_thread
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from vigil.alerts.command import require_program, run_program
from vigil.alerts.message import AlertMessage
from vigil.alerts.settings import Language, SpeechSettings
from vigil.errors import DeliveryError
from vigil.file_names import plain_name
from vigil.files import atomic_path, explain_os_error, make_private_folder

VOICES: dict[Language, str] = {"en": "en", "zh": "cmn"}
INSTALL = "install it (Debian, Ubuntu: sudo apt-get install espeak-ng)"


WORDS_PER_MINUTE = 160


def find_espeak() -> str:
    """The path of espeak-ng; raises UsageError that says how to install it."""
    return require_program("espeak-ng", advice=INSTALL)


async def write_speech(
    sentence: str, path: Path, *, program: str, voice: str, words_per_minute: int = WORDS_PER_MINUTE
) -> None:
    """Writes a spoken sentence as a WAV file, whole or not at all; raises DeliveryError and OSError."""
    with atomic_path(path, keep_suffix=True) as partial:
        words = (program, "-b", "1", "-v", voice, "-s", str(words_per_minute), "-w", str(partial), "--stdin")
        await run_program(words, data=sentence.encode("utf-8", "replace"))


class SpeechSink:
    """Speaks messages, one at a time."""

    def __init__(self, settings: SpeechSettings) -> None:
        self._program = find_espeak()
        if settings.player:
            require_program(settings.player[0])
        self._settings = settings

    async def send(self, message: AlertMessage) -> None:
        """Speaks a message; raises DeliveryError."""
        try:
            if self._settings.folder is None:
                with TemporaryDirectory(prefix="vigil-speech-") as folder:
                    await self._speak(message, Path(folder) / "alarm.wav")
                return
            await to_thread(make_private_folder, self._settings.folder)
            path = self._settings.folder / f"{plain_name(f'{message.id}-{message.revision}')}.wav"
            await self._speak(message, path)
            await to_thread(self._remove_old)
        except OSError as error:
            raise DeliveryError(f"the speech cannot be written: {explain_os_error(error)}") from error

    async def close(self) -> None:
        """Nothing is open."""

    async def _speak(self, message: AlertMessage, path: Path) -> None:
        settings = self._settings
        await write_speech(
            message.spoken(settings.language),
            path,
            program=self._program,
            voice=settings.voice or VOICES[settings.language],
            words_per_minute=settings.words_per_minute,
        )
        if settings.player:
            await run_program([*settings.player, str(path)])

    def _remove_old(self) -> None:
        """Keeps the newest files only."""
        assert self._settings.folder is not None
        spoken = sorted(self._settings.folder.glob("*.wav"), key=lambda path: path.stat().st_mtime)
        for path in spoken[: -self._settings.keep_files]:
            with suppress(OSError):
                path.unlink()
