/**
 * `fanout hash`: hashes files and trees, or checks what a checksum file names, or goes on with what the same command
 * has started before.
 */
import * as ChecksumLine from "@fanout/ops/ChecksumLine"
import * as FilePath from "@fanout/ops/FilePath"
import type { HashedFile, Line } from "@fanout/ops/Hash"
import { HashAlgorithm } from "@fanout/ops/HashAlgorithm"
import type { Line as Check, Status } from "@fanout/ops/HashCheck"
import * as SourceRows from "@fanout/ops/SourceRows"
import * as Arr from "effect/Array"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ExitCode from "../exit/ExitCode.ts"
import * as Stop from "../exit/Stop.ts"
import * as Host from "../host/Host.ts"
import * as Arguments from "../options/Arguments.ts"
import * as Rules from "../options/Rules.ts"
import * as Settings from "../options/Settings.ts"
import * as RowOutput from "../output/RowOutput.ts"
import { withFiles, withFilesAt } from "../run/JobRuntime.ts"
import * as RunJob from "../run/RunJob.ts"
import * as events from "../ui/events.ts"

const config = {
  paths: Settings.pathArgument(
    "PATH",
    "Files and folders to hash, or addresses such as s3://bucket/prefix; with --check, more checksum files"
  )
    .pipe(Argument.variadic()),
  algorithm: Flag.Literals("algo", HashAlgorithm.literals).pipe(
    Flag.withDescription("Which algorithm (default: blake3; with --check, what FILE and its lines tell)"),
    Flag.optional
  ),
  check: Settings.pathFlag(
    "check",
    "FILE",
    "Check the files that FILE names, as b3sum, sha256sum and this command write them"
  ).pipe(Flag.withAlias("c"), Flag.optional),
  sampled: Settings.toggle(
    "sampled",
    "Identify files by samples, as Spacedrive does: fast, and no checksum of the whole content"
  ),
  ...Rules.flags,
  output: Settings.output("is not hashed"),
  cache: Settings.toggle(
    "cache",
    "Read only what changed since it was hashed with --cache before: by inode, size and times, in the database of jobs"
  ),
  tagged: Settings.toggle("tag", "Write lines that name the algorithm, as `sha256sum --tag` does"),
  json: Settings.json,
  quiet: Settings.quietBut("checksums")
}

type Given = Command.Command.Config.Infer<typeof config>

/** What is wrong with what was given, if anything is. */
const mistake = (given: Given): string | undefined => {
  const { algorithm, cache, check, exclude, excludeFrom, include, output, paths, sampled, tagged } = given
  if ([...paths, ...Option.toArray(check)].some((path) => path === "-")) return Settings.pipedIn
  if (sampled && Option.isSome(check)) {
    return "Nothing can be checked by content ids of samples: they tell nothing about the rest of a file."
  }
  if (sampled && (tagged || Option.isSome(algorithm))) return "With --sampled, there is no choice of --algo or --tag."
  if (cache && sampled) return "With --sampled, there is no --cache: the few samples of a file are read as fast."
  if (cache && Option.isSome(check)) {
    return "With --check, there is no --cache: a check is there to read what the files hold now."
  }
  if ([...paths, ...Option.toArray(check)].some(FilePath.isAddress)) {
    if (sampled) return "With an address, there is no --sampled: a store gives content in pieces that are no samples."
    if (cache) return "With an address, there is no --cache: what was hashed before is known of files alone."
    if (Option.isSome(check)) return "With --check, FILE names what is checked. It may name objects, and is no object."
  }
  if (Option.isNone(check)) return paths.length === 0 ? "What is to be hashed? `fanout hash PATH...`" : undefined
  if (Option.isSome(output)) return "With --check, there are no lines for --output: what it tells can be redirected."
  if (exclude.length + excludeFrom.length + include.length > 0) {
    return "With --check, FILE names what is checked: there is no --exclude."
  }
  return tagged ? "With --check, --tag has no meaning: both styles are read." : undefined
}

const hashAll = (paths: Settings.Paths, given: Given) =>
  Effect.gen(function*() {
    const { cache, json, output, sampled, tagged } = given
    const algorithm = Option.getOrElse(given.algorithm, () => "blake3" as const)
    const Hash = yield* Effect.promise(() => import("@fanout/ops/Hash"))
    const sources = Arr.map(paths, Arguments.absoluteOrAddress)
    const plan = Hash.plan({
      sources,
      algorithm: sampled ? "sampled" : algorithm,
      leaveOut: yield* Settings.databaseFiles,
      ...(cache ? { cache } : {}),
      ...yield* Rules.resolve(given),
      ...Option.match(output, { onNone: () => ({}), onSome: (output) => ({ output }) })
    })
    const payload = yield* withFilesAt(sources, Effect.mapError(plan, Stop.refusal))
    const textOf = ({ digest, folder, name, path, sizeBytes }: HashedFile, top: FilePath.FilePath): string => {
      const shown = FilePath.join(top, path)
      if (!json) return ChecksumLine.text({ algorithm, digest, path: shown }, tagged ? "tagged" : "plain")
      const what = sampled ? { contentId: digest } : { algorithm, digest }
      const key = FilePath.display(FilePath.join(folder, name))
      return `${events.line("hash", { key, name: FilePath.toText(shown), ...what, sizeBytes })}\n`
    }
    const render = ({ files, place }: Line): string | Uint8Array => {
      // By their names as they were given on the command line.
      const top = paths[place.source] ?? FilePath.empty
      const text = files.map((file) => textOf(file, top)).join("")
      return text.isWellFormed() ? text : FilePath.toBytes(FilePath.make(text))
    }
    const { holdsChecksums } = yield* Effect.promise(() => import("../output/LineFile.ts"))
    yield* RowOutput.run({
      start: RunJob.start(Hash.job, payload, given),
      options: given,
      paths: sources,
      file: output,
      mayHold: holdsChecksums,
      lines: { order: new SourceRows.Sorter(Hash.fromRow), textOf: render }
    })
  })

const words: Readonly<Record<Status, string>> = {
  ok: "OK",
  changed: "FAILED (changed)",
  missing: "FAILED (missing)",
  unreadable: "FAILED (unreadable)",
  malformed: "FAILED (malformed)"
}

/** What is said of a line of a checksum file: on one of its own, whatever the file is called. */
const checked = ({ lineNumber, path, status }: Check): string =>
  `${status === "malformed" ? `line ${lineNumber}` : FilePath.display(path)}: ${words[status]}`

const checkedJson = ({ lineNumber, matched, path, status, why }: Check): string =>
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
const checkAll = (file: FilePath.FilePath, given: Given) =>
  Effect.gen(function*() {
    const { algorithm, json, quiet } = given
    const HashCheck = yield* Effect.promise(() => import("@fanout/ops/HashCheck"))
    const folder = Arguments.workingFolder()
    const leaveOut = yield* Settings.databaseFiles
    const payload = yield* withFiles(
      HashCheck.plan({ algorithm, file: FilePath.join(folder, file), folder, leaveOut })
    ).pipe(Effect.mapError(Stop.refusal))
    yield* RowOutput.run({
      start: RunJob.start(HashCheck.job, payload, given),
      options: given,
      lines: {
        order: new SourceRows.Sorter(HashCheck.fromRow),
        textOf: (line) => quiet && line.status === "ok" ? "" : `${json ? checkedJson(line) : checked(line)}\n`
      }
    })
  })

/** Checks what each of several files names, one file after the other. */
const checkEach = Effect.fnUntraced(function*(files: ReadonlyArray<FilePath.FilePath>, given: Given) {
  if (files.length > 1 && (yield* Host.Current) !== undefined) {
    return yield* Stop.usage("A scheduled command starts one job: add a schedule for each checksum file.")
  }
  let isWell = true
  for (const file of files) {
    yield* Effect.catchIf(
      checkAll(file, given),
      ({ code, sentence }) => code === ExitCode.someFailed && sentence === "",
      () => Effect.sync(() => void (isWell = false))
    )
  }
  if (!isWell) return yield* Stop.withCode(ExitCode.someFailed)
})

/** `fanout hash` */
export const hash = Command.make("hash", config, (given) =>
  Effect.gen(function*() {
    const { cache, check, paths } = given
    const why = mistake(given)
    if (why !== undefined) return yield* Stop.usage(why)
    if (Option.isSome(check)) return yield* checkEach([check.value, ...paths], given)
    if (!Arr.isReadonlyArrayNonEmpty(paths)) return
    if (cache && (yield* Settings.database).filename === ":memory:") {
      return yield* Stop.usage("With --db :memory:, there is no --cache: nothing of it would be there the next time.")
    }
    yield* hashAll(paths, given)
  })).pipe(
    Command.withDescription(
      "Hash files, and all files in folders. The same command again goes on where it was, and prints all of it."
    ),
    Command.withShortDescription("Hash files, resumably, on all cores"),
    Command.withExamples([
      { command: "fanout hash Photos > photos.b3", description: "Write what `b3sum --check photos.b3` reads" },
      { command: "fanout hash Photos -o photos.b3", description: "The same, and never half of it" },
      { command: "fanout hash --cache Photos -o photos.b3", description: "The next time, read only what has changed" },
      { command: "fanout hash --algo sha256 a.iso b.iso", description: "Use another algorithm" },
      { command: "fanout hash s3://bucket/Photos -o cloud.b3", description: "Hash objects, which are read for that" },
      { command: "fanout hash --check photos.b3", description: "Tell which of these files are as they were" },
      { command: "fanout hash --sampled Videos", description: "Find what may be duplicates, reading 56 KiB of each" }
    ])
  )
