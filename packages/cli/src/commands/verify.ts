/**
 * `fanout verify`: compares two trees, or goes on with what the same command has started before.
 */
import type { Difference } from "@fanout/ops/Difference"
import * as FilePath from "@fanout/ops/FilePath"
import type { Line } from "@fanout/ops/Verify"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stop from "../exit/Stop.ts"
import * as Arguments from "../options/Arguments.ts"
import * as Rules from "../options/Rules.ts"
import * as Settings from "../options/Settings.ts"
import * as RowOutput from "../output/RowOutput.ts"
import { withFilesAt } from "../run/JobRuntime.ts"
import * as RunJob from "../run/RunJob.ts"
import * as events from "../ui/events.ts"
import * as format from "../ui/format.ts"

const config = {
  a: Settings.pathArgument("A", "Folder or file, or an address such as s3://bucket/prefix"),
  b: Settings.pathArgument("B", "What is to be the same: a folder or a file as well"),
  ignore: Flag.Literals("ignore", ["mode", "owner", "times"]).pipe(
    Flag.withDescription("Metadata that may differ; can be given more than once. `owner` is the group as well"),
    Flag.atLeast(0)
  ),
  ...Rules.flags,
  json: Settings.json,
  quiet: Settings.quiet
}

/** Line for people: on one of its own, whatever the file is called. */
const text = ({ difference, path, why }: Line, status: string, given: FilePath.FilePath): string => {
  const isFolder = Option.exists(difference, (it) => "kind" in it && it.kind === "folder")
  const name = FilePath.display(path === "" ? given : path) + (isFolder ? "/" : "")
  return `${status.padEnd(10)}  ${name}: ${format.printable(why)}`
}

/** What is said of a difference to programs, beside its sentence. */
const details = (difference: Difference, status: string): Readonly<Record<string, unknown>> => {
  switch (difference._tag) {
    case "Missing":
    case "Extra":
      return { kind: difference.kind, ...Option.getOrElse(difference.held, () => ({})) }
    case "Target":
      return { property: "target", a: FilePath.toText(difference.a), b: FilePath.toText(difference.b) }
    case "Unreadable":
      return { side: difference.side, code: difference.error.code }
    default: {
      const { _tag, ...values } = difference
      return status === "different" ? { property: _tag.toLowerCase(), ...values } : values
    }
  }
}

const json = ({ difference, path, why }: Line, status: string): string =>
  events.line("difference", {
    name: FilePath.toText(path),
    status,
    ...Option.match(difference, { onNone: () => ({}), onSome: (it) => details(it, status) }),
    message: why
  })

/** `fanout verify` */
export const verify = Command.make(
  "verify",
  config,
  ({ a, b, ignore, ...options }) =>
    Effect.gen(function*() {
      const Verify = yield* Effect.promise(() => import("@fanout/ops/Verify"))
      const { codeOf } = yield* Effect.promise(() => import("@fanout/ops/Difference"))
      const leaveOut = yield* Settings.databaseFiles
      const rules = yield* Rules.resolve(options)
      const trees = { a: Arguments.absoluteOrAddress(a), b: Arguments.absoluteOrAddress(b) }
      const paths = [trees.a, trees.b]
      const plan = Verify.plan({ ...trees, ignore, leaveOut, ...rules })
      const payload = yield* withFilesAt(paths, Effect.mapError(plan, Stop.refusal))
      const found: Record<string, number> = {}
      const render = (line: Line): string => {
        const status = Option.match(line.difference, {
          onNone: () => "failed",
          onSome: (it) => codeOf(it).toLowerCase()
        })
        found[status] = (found[status] ?? 0) + 1
        return `${options.json ? json(line, status) : text(line, status, a)}\n`
      }
      yield* RowOutput.run({
        start: RunJob.start(Verify.job, payload, options),
        options,
        paths,
        lines: {
          order: RowOutput.compared(Verify.fanOutName, new Verify.Sorter()),
          textOf: (row) => Option.match(Verify.lineOf(row), { onNone: () => "", onSome: render }),
          failures: () => found
        }
      })
    })
).pipe(
  Command.withDescription(
    "Compare two folders, or two files, byte by byte: what only one of them has, what differs, and what differs in " +
      "its metadata alone. Objects are compared by checksums where their store tells these. Ends with 1 if there is " +
      "anything. The same command again goes on where it was."
  ),
  Command.withShortDescription("Compare two trees, resumably, on all cores"),
  Command.withExamples([
    {
      command: "fanout verify Photos /mnt/backup/Photos",
      description: "Tell what is not the same, and nothing else"
    },
    { command: "fanout verify Photos s3://bucket/Photos", description: "Tell whether the copy in a cloud is the same" },
    { command: "fanout verify --ignore owner --ignore times a b", description: "Leave out what a copy may lack" },
    { command: "fanout verify --json a b", description: "Tell it in NDJSON, one `difference` on each line" }
  ])
)
