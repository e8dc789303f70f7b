/**
 * `--checksums FILE` of `fanout copy` and `fanout move`: a line for each file, as `b3sum --check` and its kind read
 * them.
 *
 * The rows of the job hold the checksums, so FILE is written from them once the job is over, however often that was
 * stopped.
 */
import * as JobId from "@fanout/core/JobId"
import { JobStore } from "@fanout/core/JobStore"
import type { Payload, Request } from "@fanout/ops/Copy"
import type { CopyChecksum } from "@fanout/ops/CopyChecksum"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import { HashAlgorithm } from "@fanout/ops/HashAlgorithm"
import * as Flag from "effect/cli/Flag"
import * as Param from "effect/cli/Param"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Arguments from "./Arguments.ts"
import * as RowOutput from "./RowOutput.ts"
import type * as RunJob from "./RunJob.ts"
import * as Settings from "./Settings.ts"
import * as Stop from "./Stop.ts"

/** `--checksums FILE` and `--algo NAME` */
export const flags = {
  checksums: Param.makeSingle({ kind: Param.flagKind, name: "checksums", primitiveType: Settings.path }).pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription(
      "Write the checksums of all files to FILE, hashed as they are copied, for `b3sum --check FILE`. FILE is " +
        "replaced once there are all of them, and is itself not copied"
    ),
    Flag.optional
  ),
  algorithm: Flag.Literals("algo", HashAlgorithm.literals).pipe(
    Flag.withDescription("With --checksums, which algorithm (default: blake3)"),
    Flag.optional
  )
}

/** What these flags were given. */
export interface Given {
  readonly checksums: Option.Option<string>
  readonly algorithm: Option.Option<HashAlgorithm>
}

type Wanted = Pick<Request, "checksums">

/** What is asked for, if anything. */
export const resolve = ({ algorithm, checksums }: Given): Effect.Effect<Wanted, Stop.Stop> => {
  if (Option.isNone(checksums)) {
    return Option.isNone(algorithm)
      ? Effect.succeed({})
      : Effect.fail(Stop.usage("--algo has a meaning only with --checksums FILE."))
  }
  if (checksums.value === "") return Effect.fail(Stop.usage("An empty name is the name of no file."))
  if (checksums.value === "-") {
    return Effect.fail(Stop.usage("Checksums are written to a file. One that is called \"-\" is named ./-"))
  }
  const output = Arguments.realPath(FilePath.make(checksums.value))
  return Effect.succeed({ checksums: { algorithm: Option.getOrElse(algorithm, () => "blake3"), output } })
}

type Transfers = Payload["transfers"]

/** Path below a folder that it is in; empty for the folder itself. */
const below = (path: FilePath.FilePath, folder: FilePath.FilePath): FilePath.FilePath =>
  FilePath.make(path.slice(folder.length).replace(/^\//, ""))

/** Whether a folder that is not there is one that the job makes, since there is such a one in a source. */
const isMade = (folder: FilePath.FilePath, transfers: Transfers) =>
  Effect.map(
    Effect.forEach(transfers, ({ source, target }) =>
      FilePath.isWithin(folder, target)
        ? Effect.orElseSucceed(
          Files.Files.use((files) => files.find(FilePath.join(source, below(folder, target)))),
          Option.none
        )
        : Effect.succeedNone),
    (found) => found.some((stat) => Option.exists(stat, ({ kind }) => kind === "folder"))
  )

const loadOutputFile = Effect.promise(() => import("./OutputFile.ts"))

// Not the id of the job: what a process has left that was killed while it wrote is removed by whoever writes next.
const owner = JobId.make("checksums")

/** Refuses what can't be written, or would be written over what is copied. With `tries` a file is created for that. */
export const check = Effect.fnUntraced(function*(
  { checksums, rules }: Wanted & Pick<Request, "rules">,
  transfers: Transfers,
  { isMove, tries }: { readonly isMove: boolean; readonly tries: boolean }
) {
  const output = checksums?.output
  if (output === undefined) return
  const own = yield* Settings.databaseFiles
  if (own.includes(output)) {
    return yield* Stop.usage(`"${FilePath.display(output)}" belongs to the database of this job.`)
  }
  if (transfers.some(({ source, target }) => output === source || output === target)) {
    return yield* Stop.usage(`"${FilePath.display(output)}" can't have the checksums: it is what is copied.`)
  }
  if (isMove && transfers.some(({ source }) => FilePath.isWithin(output, source))) {
    return yield* Stop.usage(`"${FilePath.display(output)}" can't have the checksums: all that it is in is moved.`)
  }
  const files = yield* Files.Files
  const there = yield* Effect.orElseSucceed(files.find(FilePath.parent(output)), () => Option.none())
  // By rules a folder may be left out.
  if (Option.isNone(there) && rules === undefined && (yield* isMade(FilePath.parent(output), transfers))) return
  const OutputFile = yield* loadOutputFile
  yield* OutputFile.check(output)
  if (tries) yield* OutputFile.tryOut(owner, output)
})

/** Path of a file from the destination on, as that was given. */
export const nameOf =
  (destination: FilePath.FilePath, transfers: Transfers) => ({ path, transfer }: CopyChecksum): FilePath.FilePath => {
    const { target } = transfers[transfer] ?? transfers[0]
    const itself = [
      Arguments.realPath(destination),
      FilePath.join(Arguments.realPath(FilePath.parent(destination)), FilePath.name(destination))
    ]
    const top = itself.includes(target) ? destination : FilePath.join(destination, FilePath.name(target))
    // A file that was given another name, since its own was taken, is beside it.
    return FilePath.isWithin(path, target)
      ? FilePath.join(top, below(path, target))
      : FilePath.join(FilePath.parent(top), FilePath.name(path))
  }

/** Output that writes the file once the job is over, and nothing before. */
export const make = (
  id: JobId.JobId,
  { algorithm, output }: { readonly algorithm: HashAlgorithm; readonly output: FilePath.FilePath },
  textOf: (checksum: CopyChecksum) => FilePath.FilePath
): Effect.Effect<RunJob.Output, never, JobStore | Files.Files> =>
  Effect.gen(function*() {
    const store = yield* JobStore
    const files = yield* Files.Files
    const { CopyChecksum, ChecksumLine } = yield* Effect.promise(() => import("./CopyChecksums.ts"))
    const OutputFile = yield* loadOutputFile
    const writeAll = Effect.gen(function*() {
      const sink = yield* OutputFile.make(owner, output)
      for (let after = 0;;) {
        const rows = yield* store.outcomes(id, { tags: ["Done"], after, limit: RowOutput.page })
        const lines = rows.flatMap(([, row]) => CopyChecksum.fromRow(row)).map((checksum) =>
          ChecksumLine.write({ algorithm, digest: checksum.digest, path: textOf(checksum) }, "plain")
        )
        yield* RowOutput.writeLines(sink, lines)
        after = rows.at(-1)?.[0] ?? after
        if (rows.length < RowOutput.page) break
      }
      yield* sink.finish
    }).pipe(Effect.scoped, Effect.provideService(Files.Files, files))
    return {
      isBeside: true,
      write: () => Effect.void,
      end: ({ state: { _tag } }) => _tag === "Completed" || _tag === "CompletedWithErrors" ? writeAll : Effect.void
    }
  })
