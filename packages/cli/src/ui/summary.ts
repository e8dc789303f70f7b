/**
 * Says what a job has come to. Pure: records go in, sentences come out.
 */
import * as JobPriority from "@fanout/core/JobPriority"
import { JobState } from "@fanout/core/JobState"
import { Exit, type JobRecord, type OutcomeRow } from "@fanout/core/JobStore"
import * as Outcome from "@fanout/core/Outcome"
import type { Progress } from "@fanout/core/Progress"
import { comparedUnits, lostUnits, removedUnits, strategyUnits } from "@fanout/ops/ProgressUnits"
import { countVanished, SkipReason } from "@fanout/ops/SkipReason"
import * as Num from "effect/Number"
import * as Option from "effect/Option"
import * as Struct from "effect/Struct"
import * as format from "./format.ts"

/** What is known of a job beside its record and its progress. */
export interface Known {
  readonly millis?: number | undefined
  /** What the failed ones have come to. */
  readonly failures?: Readonly<Record<string, number>> | undefined
  /** Whether the process that runs it is dead. */
  readonly isOwnerDead?: boolean | undefined
}

/**
 * How much is done, as people count it: folders by themselves, and the ends of folders not at all.
 */
export const doneOf = (
  { tally: { done, tags }, units }: Progress
): { readonly done: number; readonly folders: number } => {
  const of = (tags: Iterable<string>, amounts: Readonly<Record<string, number>>) =>
    Num.sumAll(Array.from(tags, (tag) => amounts[tag] ?? 0))
  const folders = of(folderTags, tags)
  return {
    done: done - folders - of(uncounted, tags) + (units[removedUnits.files] ?? 0),
    folders: folders + (units[removedUnits.folders] ?? 0)
  }
}

/**
 * What was counted, most of it first: `990 copied, 10 failed, 12 MiB`. Of the skipped ones those that vanished are
 * counted by themselves, and the failed ones by what they have come to, where that is known.
 */
export const counts = (progress: Progress, { failures }: Known = {}): string => {
  const { done, failed, skipped, tags } = progress.tally
  const vanished = countVanished(progress.tally)
  const tagged = Object.entries(tags).filter(([, amount]) => amount > 0).toSorted(([, a], [, b]) => b - a)
  const untagged = done - tagged.reduce((sum, [, amount]) => sum + amount, 0)
  const files = progress.units[removedUnits.files] ?? 0
  const folders = progress.units[removedUnits.folders] ?? 0
  const parts = tagged.filter(([tag]) => !uncounted.has(tag)).map(([tag, amount]) => withTag(tag, amount))
  if (files > 0) parts.push(`${format.count(files)} deleted`)
  if (folders > 0) parts.push(format.counted(folders, "folder"))
  if (untagged > 0) parts.push(`${format.count(untagged)} done`)
  if (skipped > vanished) parts.push(`${format.count(skipped - vanished)} skipped`)
  if (vanished > 0) parts.push(`${format.count(vanished)} vanished`)
  if (failed > 0) parts.push(...byFailure(failures ?? { failed }))
  if (parts.length === 0) parts.push("0 done")
  const { bytes = 0, cached = 0, verified = 0 } = progress.units
  if (verified > 0) parts.push(`${format.count(verified)} verified`)
  const { [comparedUnits.checksum]: byChecksum = 0, [comparedUnits.reading]: byReading = 0 } = progress.units
  if (byChecksum > 0) parts.push(`${format.count(byChecksum)} by checksum`)
  if (byReading > 0) parts.push(`${format.count(byReading)} by reading`)
  if (cached > 0) parts.push(format.cached(cached))
  if (bytes > 0) parts.push(format.bytes(bytes))
  return parts.join(", ")
}

/** What a job tries again of what has failed, if somebody has chosen that; otherwise empty. */
export const only = ({ state }: JobRecord): string => {
  if (!("only" in state) || state.only === undefined) return ""
  if ("child" in state.only) return `only what failed in its child ${format.printable(state.only.child)}`
  return "cause" in state.only
    ? `only what failed with ${format.printable(state.only.cause)}`
    : `only ${format.counted(state.only.elements.length, "chosen failure")}`
}

/**
 * How urgent a job is, what it may use and what it tries again, where somebody has set that: `high priority`, `at most
 * 20 MiB/s`.
 */
export const settings = (record: JobRecord): ReadonlyArray<string> => {
  const { limits: { bytesPerSecond, concurrency }, priority } = record
  return [
    ...priority === 0 ? [] : [`${JobPriority.nameOf(priority)} priority`],
    ...concurrency === undefined ? [] : [`at most ${format.counted(concurrency, "task")} at once`],
    ...bytesPerSecond === undefined ? [] : [`at most ${format.setRate(bytesPerSecond)}`],
    ...only(record) === "" ? [] : [only(record)]
  ]
}

const byFailure = (failures: Readonly<Record<string, number>>): ReadonlyArray<string> =>
  Object.entries(failures).map(([what, amount]) => `${format.count(amount)} ${failureWords[what] ?? what}`)

const failureWords: Readonly<Record<string, string>> = { metadata: "with other metadata" }

const withTag = (tag: string, amount: number): string => {
  const noun = nouns[tag]
  return noun === undefined ? `${format.count(amount)} ${format.printable(words(tag))}` : format.counted(amount, noun)
}

/** The ends of folders are nothing to count; of what is deleted many go at once, and are counted as units. */
const uncounted = new Set(["FolderEnded", "Batch", "Removed", "FolderMet", "FolderLeft"])

/** Folders, whose ends are uncounted. */
const folderTags = ["FolderMade", "FolderSame"]

/** What is counted as things rather than as what became of them. */
const nouns: Readonly<Record<string, string>> = {
  Linked: "link",
  FolderMade: "folder",
  FolderSame: "folder"
}

/** Tag as words: `AlreadyThere` is `already there`. */
const words = (tag: string): string => tag.replaceAll(/(?<=[a-z0-9])(?=[A-Z])/g, " ").toLowerCase()

/** State of a job in a word or two, for a list. */
export const shortState = (record: JobRecord, isOwnerDead: boolean): string => {
  const { _tag } = record.state
  if (isOwnerDead) return "process gone"
  const wait = waitOf(record)
  if (wait !== undefined) return `paused: ${format.printable(wait.by)}`
  if (record.state._tag === "Paused" && pauses.get(record.state.by)?.why !== "") {
    return `paused: ${format.printable(record.state.by)}`
  }
  if (_tag === "CompletedWithErrors") return isVerify(record) ? "not the same" : "some failed"
  return Option.match(record.request, { onNone: () => stateWord(_tag), onSome: (what) => asking[what] })
}

/** What a queued job waits for, where it looks for it itself. */
const waitOf = ({ request, state }: JobRecord) =>
  state._tag === "Queued" && Option.isNone(request) ? state.waits : undefined

/** State of a job as words. */
export const state = (record: JobRecord, isOwnerDead = false): string => {
  if (record.state._tag === "Paused") {
    const { by } = record.state
    return pauses.get(by)?.shortly ?? `paused (by ${format.printable(by)})`
  }
  const wait = waitOf(record)
  if (wait !== undefined) {
    const at = record.availableAt === 0 ? "soon" : `at ${format.time(record.availableAt)}`
    return `paused (by ${format.printable(wait.by)}), looks again ${at}`
  }
  const asked = Option.match(record.request, { onNone: () => "", onSome: (what) => ` (${asking[what]})` })
  if (record.state._tag === "CompletedWithErrors" && isVerify(record)) return "done, not the same"
  if (isOwnerDead) return `${stateWord(record.state._tag)}, but its process is gone`
  return stateWord(record.state._tag) + asked
}

/** What fails in a comparison is mostly what it is to find. */
export const isVerify = ({ name }: Pick<JobRecord, "name">): boolean => name === "verify"

/** Types of jobs that ask before they move bytes. */
const throttled = new Set(["copy", "hash", "hash-check", "move", "verify"])

/** Whether the bandwidth of a job can be limited. Whether another program's job moves bytes is not known here. */
export const isThrottled = (name: string, hasCode: boolean): boolean => throttled.has(name) || !hasCode

/** A command that a schedule has started has a job of its own, which counts. */
export const isScheduled = ({ name }: Pick<JobRecord, "name">): boolean => name === "scheduled"

/**
 * What a job has come to, in words; empty for one that only starts another one. In a comparison, what failed is
 * different, where it is not known better.
 */
export const countsOf = (record: Pick<JobRecord, "name">, progress: Progress, known: Known = {}): string =>
  isScheduled(record)
    ? ""
    : counts(progress, isVerify(record) ? { failures: { different: progress.tally.failed }, ...known } : known)

/** What is said of a pause, by what has caused it. */
const pauses = new Map([
  ["person", { shortly: "paused", why: "" }],
  ["disk", { shortly: "paused (disk full)", why: " because the disk is full" }],
  ["device", { shortly: "paused (device gone)", why: " because a device or its file system is gone" }],
  ["network", { shortly: "paused (no network)", why: " because its object store can't be reached, or is busy" }],
  ["store", { shortly: "paused (object store)", why: " because its object store has to be set right" }],
  ["parent", { shortly: "paused (with its parent)", why: " because the job that started it is" }]
])

const asking = { Pause: "pausing", PauseWithParent: "pausing", Cancel: "cancelling" }

/** Word for a state. */
export const stateWord = (tag: string): string =>
  tag === "Completed" ? "done" : tag === "CompletedWithErrors" ? "done, some failed" : tag.toLowerCase()

/** Why the program of a job did not succeed; empty where it did. */
export const why = (record: JobRecord): string =>
  Option.match(record.exit, {
    onNone: () => "",
    onSome: Exit.match({
      Success: () => "",
      Failure: ({ message }) => format.printable(message),
      Defect: ({ message }) => format.printable(message),
      Timeout: ({ millis }) => `it took longer than ${format.duration(millis)}`,
      Deadline: ({ at }) => `it was not over by ${format.time(at)}`,
      OwnerLost: ({ times }) => `the process that ran it died ${times} times in a row`
    })
  })

/** Whether a job was given up since one process after the other died. */
export const isGivenUp = ({ exit, state }: JobRecord): boolean =>
  state._tag === "Failed" && Option.exists(exit, ({ _tag }) => _tag === "OwnerLost")

/** Sentence about the end of a job. */
export const sentence = (
  record: JobRecord,
  progress: Progress,
  known: Known = {}
): string => {
  const { millis } = known
  const time = millis === undefined ? "" : ` in ${format.duration(millis)}`
  const job = `Job ${record.id} (${format.printable(record.name)})`
  const so = (before: string) => isScheduled(record) ? "." : `${before}: ${countsOf(record, progress, known)}${time}.`
  const waiting = () => `${job} is ${state(record, known.isOwnerDead)}${so(". So far")}`
  return JobState.match(record.state, {
    Completed: () => `${job} is done${so("")}`,
    CompletedWithErrors: () =>
      `${job} is done, but ${isVerify(record) ? "not all is the same" : "some of it failed"}${so("")}`,
    Failed: () => `${job} failed: ${why(record)}${so(". So far")}`,
    Cancelled: () => `${job} is cancelled${so(". Until then")}`,
    Paused: ({ by }) => `${job} is paused${pauses.get(by)?.why ?? ` by ${format.printable(by)}`}${so(". So far")}`,
    Queued: waiting,
    Running: waiting
  })
}

/** Sentence about a job that another process runs, or has run, in the place of this one. */
export const takenOver = ({ id, lease }: JobRecord): string => {
  const who = Option.match(lease, { onNone: () => "", onSome: ({ owner }) => `, ${owner.process.split("-", 1)[0]},` })
  return `Job ${id} was taken over by another process${who} while this one stood still.`
}

/** How many files were copied otherwise than through memory as a whole; empty where none was. */
export const ways = ({ tally: { units } }: Progress): string =>
  Array.from(strategyUnits, ([strategy, unit]) => ({ strategy, amount: units[unit] ?? 0 }))
    .filter(({ amount }) => amount > 0)
    .map(({ amount, strategy }) => `${format.count(amount)} ${wayWords[strategy] ?? strategy}`)
    .join(", ")

const wayWords: Readonly<Record<string, string>> = {
  reflink: "by reflink",
  kernel: "by the kernel",
  chunked: "in chunks",
  "hard link": "as hard links",
  rename: "by rename",
  server: "by the server"
}

const notTaken = "the destination does not take them"

/** What copies may lack, and why they do. */
const lost = {
  mode: ["permissions", `${notTaken}, or their lists for access could not be read`],
  times: ["times", notTaken],
  owner: ["owner", "that takes root, and a file system that has owners"],
  links: ["hard links", notTaken],
  xattr: [
    "extended attributes",
    "the destination does not take all of them, or not from this user, or they could not be read"
  ],
  metadata: ["metadata", "a file takes only the time and the mode of an object"]
} as const

/** What copies could not be given, one sentence for each property. */
export const warnings = ({ tally: { units } }: Progress): ReadonlyArray<string> =>
  Struct.keys(lost).flatMap((property) => {
    const copies = units[lostUnits[property]] ?? 0
    if (copies === 0) return []
    const [what, why] = lost[property]
    const noun = format.counted(copies, "copy", "copies")
    return [`${noun} could not be given the ${what} of ${copies === 1 ? "its source" : "their sources"}: ${why}`]
  })

/** Jobs that are there for lines, which only their own commands write. */
const withLines = new Set(["hash", "metadata"])

/**
 * What can be done next; empty where nothing is left to do. Where this command has no code for a job, its own program
 * does what is asked for here.
 */
export const next = (record: JobRecord, hasCode = true, isOwnerDead = false): string => {
  const { id, name, state } = record
  if (!hasCode) return nextElsewhere(record, isOwnerDead)
  if (state._tag === "Paused" || isOwnerDead || isGivenUp(record)) {
    // A child goes on with its parent.
    const paused = Option.match(record.parent, { onNone: () => id, onSome: (parent) => parent.id })
    const other = `\`fanout jobs ${isGivenUp(record) ? `retry ${id}` : `resume ${paused}`}\``
    return withLines.has(name)
      ? `Go on with the same command again; ${other} would write no lines.`
      : `Go on with ${other}, or with the same command again.`
  }
  if (state._tag === "CompletedWithErrors") {
    const what = isVerify({ name }) ? "Compare these again" : "Try the failed ones again"
    const lines = withLines.has(name) ? "; their lines are written by the same command only" : ""
    return `${what} with \`fanout jobs retry ${id}\`${lines}.`
  }
  return state._tag === "Failed"
    ? `Try again with \`fanout jobs retry ${id}\`, or give it up with \`fanout jobs cancel ${id}\`.`
    : ""
}

const nextElsewhere = ({ id, request, state }: JobRecord, isOwnerDead: boolean): string => {
  if (isOwnerDead) return "Start its own program: it goes on with the job."
  switch (state._tag) {
    case "Queued":
    case "Running":
      return Option.isSome(request)
        ? "Its own program stops it."
        : "Its own program runs it: this command has no code for it."
    case "Paused":
      return `Let it go on with \`fanout jobs resume ${id}\`; its own program runs it then.`
    case "CompletedWithErrors":
      return `Have what failed tried again with \`fanout jobs retry ${id}\`; its own program does that.`
    case "Failed":
      return `Have it tried again with \`fanout jobs retry ${id}\`, which its own program does, or give it up with ` +
        `\`fanout jobs cancel ${id}\`.`
    default:
      return ""
  }
}

/** Where it is said what was skipped, and why; empty where nothing was. */
export const skipped = ({ id }: JobRecord, { tally }: Progress): string =>
  tally.skipped === 0 ? "" : `What was skipped, and why: \`fanout jobs show --all ${id}\`.`

/** Why items failed: how many of them for the same reason, and what is said of one. */
export interface Cause {
  readonly count: number
  readonly code: string
  readonly example: string
}

/** Causes of failures, the most frequent first, each with what is said of one of these rows, if one has it. */
export const causes = ({ tally }: Progress, rows: ReadonlyArray<OutcomeRow>): ReadonlyArray<Cause> => {
  const failures = rows.flatMap(({ outcome }) => outcome._tag === "Failed" ? [outcome.failure] : [])
  const exampleOf = (code: string) => failures.find((failure) => Outcome.cause(failure) === code)
  return Object.entries(tally.causes ?? {}).map(([code, count]): Cause => {
    const example = exampleOf(code)
    return { count, code, example: example === undefined ? "" : format.printable(Outcome.message(example)) }
  }).toSorted((a, b) => b.count - a.count)
}

/** Path without the end that it has in common with the name of an item, such as that of its copy: `/to/…`. */
const elided = (path: string, key: string): string => {
  const [own, other] = [key.split("/").toReversed(), path.split("/").toReversed()]
  const differing = other.findIndex((name, n) => name !== own[n])
  return differing < 1 ? path : `${other.slice(differing).toReversed().join("/")}/…`
}

/** Why an item failed, behind its name: its own path is not told again, and of others what differs. */
const reason = (key: string, message: string): string =>
  message.replaceAll(/"([^"]+)"|^(\/[^":]+)(?=: )/g, (text, quoted: string | undefined, first: string | undefined) => {
    if (quoted === key) return "it"
    return quoted === undefined ? elided(first ?? text, key) : `"${elided(quoted, key)}"`
  }).replace(/^Could not /, "could not ")

/** So many characters of the line about an item say what became of it. */
export const itemHead = 9

/** Line about one item that is not plain done. */
export const item = ({ key, outcome }: OutcomeRow, failed = "failed"): string => {
  const name = format.printable(key)
  return Outcome.Outcome.match(outcome, {
    Done: () => `done     ${name}`,
    Skipped: ({ count, reason }) => {
      if (reason === SkipReason.Vanished) return `vanished ${name}`
      // The folder is there.
      if (reason === SkipReason.VanishedInside) return `vanished ${name}: ${format.counted(count, "item")} in it`
      const more = count > 1 ? ` (${format.counted(count, "item")})` : ""
      return `skipped  ${name}: ${format.printable(reason)}${more}`
    },
    Failed: ({ failure }) =>
      `${failed.padEnd(itemHead)}${name}: ${format.printable(reason(key, Outcome.message(failure)))}`
  })
}
