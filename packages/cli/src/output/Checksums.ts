/**
 * `--checksums FILE` of `fanout copy` and `fanout move`, which the job writes in the end: a line for each file, as
 * `b3sum --check` and its kind read them.
 */
import type { Payload, Request } from "@fanout/ops/Copy"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import { HashAlgorithm } from "@fanout/ops/HashAlgorithm"
import type * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stop from "../exit/Stop.ts"
import * as Arguments from "../options/Arguments.ts"
import * as Settings from "../options/Settings.ts"

/** `--checksums FILE` and `--algo NAME` */
export const flags = {
  checksums: Settings.pathFlag(
    "checksums",
    "FILE",
    "Write the checksums of all files to FILE, hashed as they are copied, for `b3sum --check FILE`. FILE is " +
      "replaced once there are all of them, and is itself not copied"
  ).pipe(Flag.optional),
  algorithm: Flag.Literals("algo", HashAlgorithm.literals).pipe(
    Flag.withDescription("With --checksums, which algorithm (default: blake3)"),
    Flag.optional
  )
}

type Given = Command.Command.Config.Infer<typeof flags>

type Wanted = Pick<Request, "checksums">

/** What is asked for, if anything. */
export const resolve = Effect.fnUntraced(function*(
  { algorithm, checksums }: Given
): Effect.fn.Return<Wanted, Stop.Stop> {
  if (Option.isNone(checksums)) {
    return Option.isNone(algorithm) ? {} : yield* Stop.usage("--algo has a meaning only with --checksums FILE.")
  }
  if (String(checksums.value) === "-") {
    return yield* Stop.usage("Checksums are written to a file. One that is called \"-\" is named ./-")
  }
  const output = Arguments.realPath(checksums.value)
  return { checksums: { algorithm: Option.getOrElse(algorithm, () => "blake3"), output } }
})

type Transfers = Payload["transfers"]

/** Whether a folder that is not there is one that the job makes, since there is such a one in a source. */
const isMade = Effect.fnUntraced(function*(folder: FilePath.FilePath, transfers: Transfers) {
  const files = yield* Files.Files
  for (const { source, target } of transfers.filter(({ target }) => FilePath.isWithin(folder, target))) {
    const there = FilePath.make(source + folder.slice(target.length))
    const found = yield* Effect.orElseSucceed(files.find(there), Option.none)
    if (Option.exists(found, ({ kind }) => kind === "folder")) return true
  }
  return false
})

/** Refuses what can't be written, or would be written over what is copied. */
export const check = Effect.fnUntraced(function*(
  { checksums, rules }: Wanted & Pick<Request, "rules">,
  transfers: Transfers,
  isMove: boolean
) {
  const output = checksums?.output
  if (output === undefined) return
  const refuse = (why: string) => Stop.usage(`"${FilePath.display(output)}" can't have the checksums: ${why}.`)
  if (transfers.some(({ source, target }) => output === source || output === target)) {
    return yield* refuse("it is what is copied")
  }
  if (isMove && transfers.some(({ source }) => FilePath.isWithin(output, source))) {
    return yield* refuse("all that it is in is moved")
  }
  const files = yield* Files.Files
  for (const { source, target } of transfers.filter(({ target }) => FilePath.isWithin(output, target))) {
    const copied = files.find(FilePath.make(source + output.slice(target.length)))
    if (Option.isSome(yield* Effect.orElseSucceed(copied, Option.none))) {
      return yield* refuse("a file that is copied gets that name")
    }
  }
  const there = yield* Effect.orElseSucceed(files.find(FilePath.parent(output)), () => Option.none())
  // By rules a folder may be left out.
  if (Option.isNone(there) && rules === undefined && (yield* isMade(FilePath.parent(output), transfers))) return
  const LineFile = yield* Effect.promise(() => import("./LineFile.ts"))
  yield* LineFile.check(output, LineFile.holdsChecksums, transfers.map(({ source }) => source))
})
