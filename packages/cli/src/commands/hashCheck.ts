/**
 * `fanout hash --check`: checks what a checksum file names, or goes on with what the same command has started before.
 */
import * as FilePath from "@fanout/ops/FilePath"
import type { HashAlgorithm } from "@fanout/ops/HashAlgorithm"
import type { Line, Status } from "@fanout/ops/HashCheck"
import * as SourceRows from "@fanout/ops/SourceRows"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stop from "../exit/Stop.ts"
import * as Arguments from "../options/Arguments.ts"
import * as Settings from "../options/Settings.ts"
import * as RowOutput from "../output/RowOutput.ts"
import { withFiles } from "../run/JobRuntime.ts"
import * as RunJob from "../run/RunJob.ts"
import * as events from "../ui/events.ts"
import type { Options } from "../ui/View.ts"

const words: Readonly<Record<Status, string>> = {
  ok: "OK",
  changed: "FAILED (changed)",
  missing: "FAILED (missing)",
  unreadable: "FAILED (unreadable)",
  malformed: "FAILED (malformed)"
}

/** What is said of a line: on one of its own, whatever the file is called. */
const text = ({ lineNumber, path, status }: Line): string =>
  `${status === "malformed" ? `line ${lineNumber}` : FilePath.display(path)}: ${words[status]}`

const json = ({ lineNumber, matched, path, status, why }: Line): string =>
  events.line("check", {
    line: lineNumber,
    ...(status === "malformed" ? {} : { name: FilePath.toText(path) }),
    status,
    ...Option.match(matched, {
      onNone: () => ({ message: why }),
      onSome: ({ algorithm, sizeBytes }) => ({ algorithm, sizeBytes })
    })
  })

/** Checks the files that `file` names. */
export const hashCheck = (file: FilePath.FilePath, algorithm: Option.Option<HashAlgorithm>, options: Options) =>
  Effect.gen(function*() {
    const HashCheck = yield* Effect.promise(() => import("@fanout/ops/HashCheck"))
    const folder = Arguments.workingFolder()
    const leaveOut = yield* Settings.databaseFiles
    const payload = yield* withFiles(
      HashCheck.plan({ algorithm, file: FilePath.join(folder, file), folder, leaveOut })
    ).pipe(Effect.catchTag("UnusableChecksums", ({ message }) => Effect.fail(Stop.usage(`${message}.`))))
    yield* RowOutput.run({
      start: RunJob.start(HashCheck.job, payload, options),
      options,
      lines: {
        order: new SourceRows.Sorter(HashCheck.fromRow),
        textOf: (line) => options.quiet && line.status === "ok" ? "" : `${options.json ? json(line) : text(line)}\n`
      }
    })
  })
