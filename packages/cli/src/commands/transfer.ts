/**
 * What `fanout copy` and `fanout move` have in common: both start a job that puts files elsewhere, or go on with the
 * one that the same command has started before.
 */
import { JobManager } from "@fanout/core/JobManager"
import type * as Copy from "@fanout/ops/Copy"
import * as CopyOptions from "@fanout/ops/CopyOptions"
import * as FilePath from "@fanout/ops/FilePath"
import { Files } from "@fanout/ops/Files"
import * as Arr from "effect/Array"
import * as Argument from "effect/cli/Argument"
import * as CliError from "effect/cli/CliError"
import type * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Stop from "../exit/Stop.ts"
import * as Arguments from "../options/Arguments.ts"
import * as Rules from "../options/Rules.ts"
import * as Settings from "../options/Settings.ts"
import * as Checksums from "../output/Checksums.ts"
import * as DryRun from "../output/DryRun.ts"
import { withFiles, withFilesAt, withJobs } from "../run/JobRuntime.ts"
import * as RunJob from "../run/RunJob.ts"
import * as Question from "../ui/question.ts"
import { complain, type Options, whileRead } from "../ui/View.ts"

/** Flags that both have. */
export const flags = {
  noTargetDirectory: Settings.toggle(
    "no-target-directory",
    "Take DEST as the name of what SRC is there, also where it is a folder"
  ).pipe(Flag.withAlias("T")),
  ...Rules.flags,
  ...Checksums.flags,
  concurrency: Settings.concurrency,
  bandwidth: Settings.bandwidth("Copy at most so many bytes a second: 20MB, 1.5GiB, 512K; off for no limit (default)"),
  dryRun: Settings.toggle("dry-run", "Say what would be done, and do nothing"),
  json: Settings.json,
  quiet: Settings.quiet
}

/** `SRC... DEST` */
export const paths = (description: string) =>
  Settings.pathArgument("SRC... DEST", description).pipe(Argument.variadic({ min: 1 }))

const properties = CopyOptions.Property.literals

/** What of a request a list says: in one order, and nothing where that is the usual, so that it is the same request. */
const preserved = Effect.fnUntraced(function*(
  list: string,
  usual: ReadonlyArray<CopyOptions.Property>
): Effect.fn.Return<Pick<Copy.Request, "preserve">, CliError.CliError> {
  const names = list.split(",")
  const unknown = names.find((name) => name !== "all" && !properties.some((known) => known === name))
  if (unknown !== undefined) {
    const any = properties.join(", ")
    const message = `"${unknown}" is nothing to preserve. Give any of ${any}, with commas between them, or all.`
    return yield* new CliError.ValidationError({ message })
  }
  const preserve = properties.filter((name) => names.includes("all") || names.includes(name))
  return Equal.equals(preserve, usual) ? {} : { preserve }
})

/** `--preserve LIST` */
export const preserve = (usual: ReadonlyArray<CopyOptions.Property>) =>
  Flag.String("preserve").pipe(
    Flag.withMetavar("LIST"),
    Flag.withDescription(
      "What to keep beside the content: mode, times, owner, links, xattr, sparse, with commas between them, or all " +
        `(default: ${usual === properties ? "all" : usual.join()})`
    ),
    Flag.mapEffect((list) => preserved(list, usual)),
    Flag.withDefault({})
  )

type Mode = Copy.Request["conflict"]

/** Which of the two it is. */
export interface Kind {
  readonly name: "copy" | "move"
  /** What may be done where a file is in the way; the first of these is, if nobody says. */
  readonly modes: Arr.NonEmptyReadonlyArray<Mode>
  /** Whether what is recorded is to survive a power cut. */
  readonly isDurable: boolean
}

/** What the flags were given that both have. */
type Given = Command.Command.Config.Infer<typeof flags> & {
  readonly conflict: Option.Option<Mode>
  readonly paths: ReadonlyArray<FilePath.FilePath>
}

/** What is asked for: the paths absolute, as they were given otherwise. */
const requestOf = (
  { modes, name }: Kind,
  given: Given,
  rest: Pick<Copy.Request, "preserve" | "durable" | "verify" | "dereference">
): Effect.Effect<Copy.Request, Stop.Stop> =>
  Effect.gen(function*() {
    const { conflict, noTargetDirectory, paths } = given
    const sources = paths.slice(0, -1).map(Arguments.absoluteOrAddress)
    const destination = paths.at(-1)
    if (destination === undefined || !Arr.isArrayNonEmpty(sources)) {
      return yield* Stop.usage(`Where is "${paths[0] ?? ""}" to go to? \`fanout ${name} SRC... DEST\``)
    }
    return {
      sources,
      destination: Arguments.absoluteOrAddress(destination),
      noTargetDirectory,
      conflict: Option.getOrElse(conflict, () => modes[0]),
      ...rest,
      ...yield* Checksums.resolve(given),
      ...yield* Rules.resolve(given)
    }
  })

/** Says once what copies lack, and nobody can be told for each, where the system's calls can't be had. */
const warnOfCalls = Effect.gen(function*() {
  const { isNative } = yield* Effect.promise(() => import("@fanout/ops/SystemFiles"))
  if (yield* isNative) return
  yield* complain(
    "warning  The system's calls can't be had here: holes, extended attributes and lists for access are not kept, " +
      "and what is read back may come from memory. `fanout doctor` tells what else there is."
  )
})

/** A link with a slash behind it stands for the folder that it leads to: to move that would leave the link. */
const refuseToMove = Effect.fnUntraced(function*({ sources }: Copy.Request) {
  const files = yield* Files
  for (const source of sources.filter((path) => !FilePath.isAddress(path))) {
    const name = FilePath.name(source)
    if (name === "." || name === "..") {
      return yield* Stop.usage(`"${FilePath.display(source)}" can't be moved by that name: name the folder itself.`)
    }
    const link = FilePath.join(FilePath.parent(source), name)
    const found = source.endsWith("/") ? yield* Effect.orElseSucceed(files.find(link), Option.none) : Option.none()
    if (Option.exists(found, ({ kind }) => kind === "link")) {
      return yield* Stop.usage(`"${FilePath.display(link)}" is a link. Without a slash at its end it is moved itself.`)
    }
  }
})

const pathsIn = ({ destination, sources }: Copy.Request) => [...sources, destination]

const hasAddress = (request: Copy.Request): boolean => pathsIn(request).some(FilePath.isAddress)

const checkOutput = ({ name }: Kind, request: Copy.Request, transfers: Copy.Payload["transfers"]) =>
  withFilesAt(pathsIn(request), Checksums.check(request, transfers, name === "move"))

const plan = (kind: Kind, request: Copy.Request, called?: FilePath.FilePath) =>
  Effect.gen(function*() {
    const { plan } = yield* Effect.promise(() => import("@fanout/ops/Copy"))
    if (kind.name === "move") yield* withFiles(refuseToMove(request))
    const payload = yield* withFilesAt(
      pathsIn(request),
      Effect.mapError(plan(request, yield* Settings.databaseFiles, called), Stop.refusal)
    )
    yield* checkOutput(kind, request, payload.transfers)
    return payload
  })

/** What would be done, step by step. */
const stepsOf = ({ name }: Kind, payload: Copy.Payload) =>
  Effect.promise(async () => {
    const { entries } = await import("@fanout/ops/CopyPreview")
    const { CopyOptions } = await import("@fanout/ops/CopyOptions")
    const { optionsOf } = await (name === "copy" ? import("@fanout/ops/Copy") : import("@fanout/ops/Move"))
    const steps = Stream.provideService(entries(payload), CopyOptions, optionsOf(payload.request))
    if (!hasAddress(payload.request)) return steps
    const { layer, layerPreview } = await import("@fanout/ops/clouds")
    return Stream.provide(steps, Layer.provide(layerPreview(payload), layer()))
  })

const runDry = (kind: Kind, request: Copy.Request, options: Options) =>
  Effect.gen(function*() {
    const payload = yield* plan(kind, request)
    yield* DryRun.tell(yield* stepsOf(kind, payload), DryRun.copy(kind.name), options)
  })

/** Asks what is to be done with files that are in the way, if there are any and somebody is there to answer. */
const askForMode = (kind: Kind, request: Copy.Request, payload: Copy.Payload, { json, quiet }: Options) =>
  Effect.gen(function*() {
    // To look at each object would take a request for each.
    if (json || quiet || hasAddress(request) || !Question.isPossible()) return request.conflict
    // Where there is nothing, nothing is in the way.
    const found = yield* Effect.forEach(payload.transfers, ({ target }) => Files.use((files) => files.find(target)))
      .pipe(withFiles, Effect.orElseSucceed(() => []))
    if (found.every(Option.isNone)) return request.conflict
    const { entries } = yield* Effect.promise(() => import("@fanout/ops/CopyPreview"))
    const inTheWay = yield* withFiles(
      Stream.runCount(Stream.filter(entries(payload), ({ action }) => action === "Replace"))
    )
    if (inTheWay === 0) return request.conflict
    const files = inTheWay === 1 ? "A file is" : `${inTheWay} files are`
    const mode = yield* Question.choose(
      `${files} in the way of what is to get their names. What is to be done?`,
      kind.modes
    )
    return mode ?? (yield* Stop.usage("Nothing was done. --conflict says beforehand what is to be."))
  })

/** Starts the job, or goes on with the one that the same command has started before, and gives its id. */
const startOrGoOn = (kind: Kind, request: Copy.Request, given: Given) =>
  Effect.gen(function*() {
    const { bandwidth, conflict: mode, paths } = given
    const isModeGiven = Option.isSome(mode)
    const { job } = yield* Effect.promise(async () =>
      kind.name === "copy" ? import("@fanout/ops/Copy") : import("@fanout/ops/Move")
    )
    // Where it goes is settled, and so is what is done with files in the way, unless that is given.
    const isSame = ({ request: { conflict, ...own } }: Copy.Payload): boolean =>
      Equal.equals({ ...own, conflict: isModeGiven ? conflict : request.conflict }, request)
    const same = yield* RunJob.findOpen(job, isSame)
    if (Option.isSome(same)) {
      const { id, payload: { transfers } } = same.value
      yield* checkOutput(kind, request, transfers)
      if (Option.isSome(bandwidth)) {
        yield* JobManager.use((manager) => manager.set(id, { limits: { bytesPerSecond: bandwidth.value } }))
      }
      yield* RunJob.goOn(id, given)
      return id
    }
    const payload = yield* plan(kind, request, paths.at(-1))
    const conflict = isModeGiven ? request.conflict : yield* askForMode(kind, request, payload, given)
    const bytesPerSecond = Option.getOrNull(bandwidth)
    const settings = bytesPerSecond === null ? {} : { limits: { bytesPerSecond } }
    return yield* RunJob.start(job, { ...payload, request: { ...request, conflict } }, given, settings)
  })

/** Runs the command. */
export const run = (kind: Kind, given: Given, rest: Parameters<typeof requestOf>[2]) =>
  Effect.gen(function*() {
    const { concurrency, dryRun, json } = given
    const request = yield* requestOf(kind, given, rest)
    if (dryRun) return yield* whileRead(runDry(kind, request, given))
    const paths = [...request.sources, request.destination]
    yield* withJobs({ claim: { ids: [] }, concurrency, paths, isDurable: kind.isDurable })(
      Effect.gen(function*() {
        const id = yield* startOrGoOn(kind, request, given)
        if (!json) yield* warnOfCalls
        yield* RunJob.run(id, given)
      })
    )
  })
