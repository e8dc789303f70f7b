/**
 * Reads the rules that files are left out by, from flags and the files that they name.
 */
import * as FilePath from "@fanout/ops/FilePath"
import type { InvalidRule, Rule } from "@fanout/ops/Filter"
import type * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import { createReadStream } from "node:fs"
import { buffer } from "node:stream/consumers"
import * as Stop from "../exit/Stop.ts"
import * as Host from "../host/Host.ts"
import * as format from "../ui/format.ts"
import { complain } from "../ui/View.ts"
import * as Arguments from "./Arguments.ts"
import * as Settings from "./Settings.ts"

/** `--exclude PATTERN`, `--include PATTERN` and `--exclude-from FILE` */
export const flags = {
  exclude: Flag.String("exclude").pipe(
    Flag.withMetavar("PATTERN"),
    Flag.withDescription(
      "Leave out what is below a path that is named and matches a pattern of .gitignore; can be given more than once"
    ),
    Flag.atLeast(0)
  ),
  include: Flag.String("include").pipe(
    Flag.withMetavar("PATTERN"),
    Flag.withDescription(
      "Take what is excluded and matches this all the same, unless a folder that it is in is excluded; can be given " +
        "more than once, and wins over all that excludes"
    ),
    Flag.atLeast(0)
  ),
  excludeFrom: Settings.pathFlag(
    "exclude-from",
    "FILE",
    "Read patterns from the lines of FILE, or of - for what is piped in, before those of --exclude; can be given " +
      "more than once"
  ).pipe(Flag.atLeast(0))
}

type Given = Command.Command.Config.Infer<typeof flags>

const maxFileBytes = 2 ** 20

/** Text of a file, byte for byte. It may be a pipe. */
const read = (path: FilePath.FilePath): Effect.Effect<string, Stop.Stop> =>
  Effect.suspend(() => {
    // One byte more than it may have.
    const end = maxFileBytes
    const file = path === "-" ? "" : Buffer.from(FilePath.toBytes(Arguments.absolute(path)))
    return Effect.tryPromise({
      try: () => buffer(createReadStream(file, { ...file === "" ? { fd: 0 } : {}, end })),
      catch: Stop.fromCall("read", path)
    })
  }).pipe(
    Effect.filterOrFail(
      ({ length }) => length <= maxFileBytes,
      () => Stop.usage(`"${FilePath.display(path)}" has more than 1 MiB, which is too much for a file of patterns.`)
    ),
    Effect.map(FilePath.fromBytes)
  )

const refuse = (where: string) => ({ message }: InvalidRule): Stop.Stop => Stop.usage(`${where}: ${message}.`)

/** Rules in the order in which they are tried: those of files, what is excluded, and last what is included. */
export const resolve = (
  { exclude, excludeFrom, include }: Given
): Effect.Effect<{ readonly rules?: ReadonlyArray<Rule> }, Stop.Stop> =>
  Effect.gen(function*() {
    // Without rules a job is the one that it was before there were any.
    if (exclude.length + excludeFrom.length + include.length === 0) return {}
    if (exclude.length + excludeFrom.length === 0) {
      return yield* Stop.usage(
        "--include takes back what is excluded, and nothing is: add --exclude. For nothing but *.jpg: " +
          "--exclude '*' --include '*/' --include '*.jpg'"
      )
    }
    const { parse, parseFile } = yield* Effect.promise(() => import("@fanout/ops/Filter"))
    const fromFiles: Array<ReadonlyArray<Rule>> = []
    if (excludeFrom.some((path) => path === "-") && (yield* Host.Current) !== undefined) {
      return yield* Stop.usage("Nobody pipes anything into a scheduled command: name a file with --exclude-from.")
    }
    for (const path of excludeFrom) {
      const { invalid, rules } = parseFile(yield* read(path))
      const binary = invalid.find(({ error }) => error.flaw === "ManyLines")
      if (binary !== undefined) yield* refuse(`In "${FilePath.display(path)}"`)(binary.error)
      const [first] = invalid
      if (first !== undefined) {
        const more = invalid.length - 1
        const are = more === 1 ? "is" : "are"
        const others = more === 0 ? "" : `; ${format.counted(more, "more line")} ${are} left out`
        yield* complain(
          `warning  Line ${first.line} of "${FilePath.display(path)}" is left out: ${first.error.message}${others}`
        )
      }
      fromFiles.push(rules)
    }
    const excluded = yield* Effect.forEach(exclude, (text) => Effect.mapError(parse(text), refuse("--exclude")))
    const included = yield* Effect.forEach(include, (text) => Effect.mapError(parse(`!${text}`), refuse("--include")))
    const rules = [...fromFiles.flat(), ...excluded, ...included]
    return rules.length === 0 ? {} : { rules }
  })
