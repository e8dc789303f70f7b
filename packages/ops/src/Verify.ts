/**
 * Job: compares two files or two trees by content, durably.
 *
 * The source of its one fan-out is a walk over both trees at once. What only one of them has is known to the walk; the
 * rest is compared by tasks. A row is kept of what is not the same, and `VerifyRows` puts these into the order of the
 * walk.
 *
 * @since 0.1.0
 */
import type * as FanOut from "@fanout/core/FanOut"
import * as Job from "@fanout/core/Job"
import * as Progress from "@fanout/core/Progress"
import type * as Task from "@fanout/core/Task"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Difference } from "./Difference.ts"
import * as FilePath from "./FilePath.ts"
import * as Files from "./Files.ts"
import { Aspect } from "./Metadata.ts"
import * as PairTree from "./PairTree.ts"
import * as QuickFiles from "./QuickFiles.ts"
import { SkipReason } from "./SkipReason.ts"
import { differs, EntryDiffers, VerifyEntry } from "./VerifyEntry.ts"

/**
 * Schema for what is to be compared.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Payload = Schema.Struct({
  /** Two files or two folders, absolute and without links. */
  a: FilePath.FilePath,
  b: FilePath.FilePath,
  /** Metadata that may differ, sorted. */
  ignore: Schema.Array(Aspect),
  /** Files that are not read: those of the job's own database. Without links above their names. */
  leaveOut: Schema.Array(FilePath.FilePath)
})

/**
 * What is to be compared.
 *
 * @category models
 * @since 0.1.0
 */
export type Payload = typeof Payload.Type

/**
 * The job. Its success is how many entries came to what; differences are its failed rows.
 *
 * @category constructors
 * @since 0.1.0
 */
export const job = Job.make("verify", {
  payload: Payload,
  success: Progress.Tally,
  idempotencyKey: ({ a, b, ignore }) => JSON.stringify([a, b, ignore])
})

/**
 * Error of two paths that can't be compared.
 *
 * @category errors
 * @since 0.1.0
 */
export class Incomparable extends Schema.TaggedError<Incomparable>("@fanout/ops/Verify/Incomparable")("Incomparable", {
  why: Schema.String
}) {
  override get message(): string {
    return this.why
  }
}

const incomparable = (why: string) => new Incomparable({ why })

const quoted = (path: FilePath.FilePath): string => `"${FilePath.display(path)}"`

/** What a name that a person has given leads to. */
const find = Effect.fnUntraced(function*(given: FilePath.FilePath) {
  const files = yield* Files.Files
  const path = yield* files.realPath(given)
  return { given, path, stat: yield* files.lstat(path) }
}, (found, given) =>
  Effect.catchTag(found, "FilesError", (error) =>
    incomparable(
      error.code === "ENOENT"
        ? `There is nothing at ${quoted(given)}: check the spelling, or mount what it is on`
        : error.message
    )))

const kinds: Readonly<Record<Files.FileKind, string>> = {
  file: "a file",
  folder: "a folder",
  link: "a link",
  special: "neither a file nor a folder"
}

/**
 * Works out what to compare: where links lead that were named. Refuses what is no two trees.
 *
 * @category running
 * @since 0.1.0
 */
export const plan = (
  { ignore, leaveOut, ...given }: Payload
): Effect.Effect<Payload, Incomparable, Files.Files> =>
  Effect.gen(function*() {
    const [a, b] = [yield* find(given.a), yield* find(given.b)]
    for (const { given, stat: { kind } } of [a, b]) {
      if (kind === "special") return yield* incomparable(`${quoted(given)} is ${kinds.special}: name one`)
    }
    if (a.stat.kind !== b.stat.kind) {
      return yield* incomparable(
        `${quoted(a.given)} is ${kinds[a.stat.kind]} and ${quoted(b.given)} is ${kinds[b.stat.kind]}: ` +
          "name two files or two folders"
      )
    }
    if (a.stat.device === b.stat.device && a.stat.inode === b.stat.inode) {
      return yield* incomparable(
        `${quoted(a.given)} and ${quoted(b.given)} are the same ${a.stat.kind}: name the copy that is to be compared`
      )
    }
    for (const [inner, outer] of [[a, b], [b, a]] as const) {
      if (FilePath.isWithin(inner.path, outer.path)) {
        return yield* incomparable(
          `${quoted(inner.given)} is inside of ${quoted(outer.given)}, so that a part would be compared with the ` +
            "whole: name two folders of which none is in the other"
        )
      }
    }
    const aspects = Arr.dedupe(ignore).toSorted((x, y) => x < y ? -1 : 1)
    return { a: a.path, b: b.path, ignore: aspects, leaveOut }
  })

/**
 * Name of the fan-out whose rows have the differences.
 *
 * @category models
 * @since 0.1.0
 */
export const fanOutName = "entries"

type Element = FanOut.Element<Task.Payload<typeof VerifyEntry>>
type Settled = Extract<PairTree.Element, { readonly retryAfter: string }>

const encode = Schema.encodeSync(Schema.toCodecJson(EntryDiffers))

/** What is known of an entry that there is nothing to compare of; `undefined` where there is. */
const differenceOf = (element: Settled): Difference | undefined => {
  const held = Option.none()
  switch (element._tag) {
    case "Only":
      return { _tag: element.side === "A" ? "Missing" : "Extra", kind: element.kind, held: element.held }
    case "Pair":
      return element.a === element.b ? undefined : { _tag: "Kind", a: element.a, b: element.b }
    case "Unreadable": {
      const { error, side } = element
      if (error.isMissing && element.path !== "") {
        return { _tag: side === "A" ? "Extra" : "Missing", kind: "folder", held }
      }
      return { _tag: "Unreadable", side, error }
    }
  }
}

/** Whether there is nothing to read, in whichever of the trees it is. */
const isSpecial = (element: Settled): boolean =>
  element._tag === "Pair"
    ? element.a === "special" && element.b === "special"
    : element._tag === "Only" && element.kind === "special"

/** Whether there may be a folder in both trees once this is mended: what is in it has to be compared then. */
const hasFolder = (element: Settled): boolean =>
  element._tag === "Unreadable" ||
  (element._tag === "Only" ? element.kind === "folder" : element.a === "folder" || element.b === "folder")

/** What the walk meets, as elements of the fan-out. */
const elementOf = ({ ignore, leaveOut, ...trees }: Payload) => {
  const left = new Set(leaveOut)
  return (element: PairTree.Element): Element => {
    const { cursor } = element
    const { a, b } = PairTree.pathsOf(trees, element.path)
    const payload = (part: Task.Payload<typeof VerifyEntry>["part"]) => ({ a, b, part, ignore })
    if (element._tag === "Folder") return { _tag: "Item", cursor, payload: payload("folder") }
    if (element._tag === "End") return { _tag: "After", cursor, payload: payload("end") }
    const key = FilePath.display(a)
    const skipped = (reason: string): Element => ({
      _tag: "Settled",
      cursor,
      key,
      outcome: { _tag: "Skipped", reason, count: 1 }
    })
    if (left.has(a) || left.has(b)) return skipped(SkipReason.Database)
    if (isSpecial(element)) return skipped(SkipReason.Special)
    const difference = differenceOf(element)
    if (difference === undefined) {
      return {
        _tag: "Item",
        cursor,
        payload: payload(element._tag === "Pair" && element.a === "link" ? "link" : "file")
      }
    }
    const error = differs(difference)
    return {
      _tag: "Settled",
      cursor,
      key,
      outcome: { _tag: "Failed", failure: { _tag: "Error", error: encode(error), message: error.message } },
      retry: hasFolder(element)
        ? { payload: payload("apart"), bracketAfter: element.retryAfter }
        : { payload: payload("again") }
    }
  }
}

/**
 * The job's program, for whoever gives it the handler of its task another way than by a layer.
 *
 * @category running
 * @since 0.1.0
 */
export const program = Effect.fnUntraced(function*(payload: Payload) {
  const { fanOut } = yield* TaskDispatcher
  return yield* fanOut(
    fanOutName,
    VerifyEntry,
    (after) =>
      QuickFiles.walking([payload.a, payload.b], PairTree.walk(payload, after)).pipe(Stream.map(elementOf(payload))),
    { concurrency: 128 }
    // It collects failures, so it never gives up.
  ).pipe(Effect.catchTag("FanOutStopped", Effect.die))
})

/**
 * Layer that supplies the job's program.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Job.ToHandler<typeof job>, never, Files.Files | Task.Handler<typeof VerifyEntry>> = job
  .toLayer(program)
