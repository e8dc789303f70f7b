/**
 * Tells what would be done, step by step, and then how much that is of each kind.
 */
import type { Entry as CopyEntry } from "@fanout/ops/CopyPreview"
import type { Entry as DeleteEntry } from "@fanout/ops/DeletePreview"
import * as FilePath from "@fanout/ops/FilePath"
import type { Files } from "@fanout/ops/Files"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Struct from "effect/Struct"
import * as ExitCode from "../exit/ExitCode.ts"
import * as Stop from "../exit/Stop.ts"
import * as Process from "../host/Process.ts"
import * as Memory from "../machine/Memory.ts"
import { withFiles } from "../run/JobRuntime.ts"
import * as events from "../ui/events.ts"
import * as format from "../ui/format.ts"
import { hanging, type Options, print, tell as say } from "../ui/View.ts"

/** How steps of one kind are told. */
export interface Telling<E, T> {
  readonly actionOf: (entry: E) => string
  /** Totals of nothing, and with one step more. */
  readonly none: T
  readonly add: (totals: T, entry: E) => T
  /** Line of one step; empty for one that changes nothing. */
  readonly line: (entry: E) => string
  readonly sentence: (totals: T) => string
  /** Whether something would not be done that should be. */
  readonly isIncomplete: (totals: T) => boolean
}

const line = (action: string, path: FilePath.FilePath, { kind, why }: Pick<CopyEntry, "kind" | "why">): string =>
  `${action}  ${FilePath.display(path)}${kind === "folder" ? "/" : ""}${why === "" ? "" : `: ${format.printable(why)}`}`

const sentence = (parts: ReadonlyArray<string>): string =>
  `Nothing was done. ${parts.length === 0 ? "Nothing would be" : parts.join(", ")}.`

const copied = {
  Create: "create",
  Merge: "merge",
  Replace: "replace",
  Unchanged: "keep",
  Skip: "skip",
  RenameTo: "create",
  Refuse: "refuse",
  Fail: "fail"
} as const

const words = {
  create: "created",
  replace: "replaced",
  keep: "left as is",
  skip: "skipped",
  refuse: "refused",
  fail: "failed"
} as const

interface Copied {
  readonly files: Readonly<Record<typeof copied[CopyEntry["action"]], number>>
  readonly bytes: number
}

/** Steps of a copy, or of a move. How much a move would write is not known: what gets another name is not written. */
export const copy = (name: "copy" | "move"): Telling<CopyEntry, Copied> => ({
  actionOf: ({ action }) => copied[action],
  none: { files: { create: 0, merge: 0, replace: 0, keep: 0, skip: 0, refuse: 0, fail: 0 }, bytes: 0 },
  add: ({ bytes, files }, entry) => {
    const action = copied[entry.action]
    const isWritten = action === "create" || action === "replace"
    return { files: { ...files, [action]: files[action] + 1 }, bytes: bytes + (isWritten ? entry.sizeBytes : 0) }
  },
  line: (entry) => entry.action === "Merge" ? "" : line(copied[entry.action].padEnd(7), entry.target, entry),
  sentence: ({ bytes, files }) => {
    const parts = Struct.keys(words).filter((action) => files[action] > 0)
      .map((action) => `${format.count(files[action])} would be ${words[action]}`)
    return sentence(bytes > 0 && name === "copy" ? [...parts, `${format.bytes(bytes)} would be written`] : parts)
  },
  isIncomplete: ({ files }) => files.refuse + files.fail > 0
})

/** Steps of a deletion. */
export const remove: Telling<
  DeleteEntry,
  Readonly<Record<"files" | "folders" | "trash" | "leave" | "fail", number>>
> = {
  actionOf: ({ action }) => action.toLowerCase(),
  none: { files: 0, folders: 0, trash: 0, leave: 0, fail: 0 },
  add: (totals, { action, kind }) => {
    const counted = {
      Delete: kind === "folder" ? "folders" : "files",
      Trash: "trash",
      Leave: "leave",
      Fail: "fail"
    } as const
    return { ...totals, [counted[action]]: totals[counted[action]] + 1 }
  },
  line: (entry) => line(entry.action.toLowerCase().padEnd(6), entry.path, entry),
  sentence: ({ fail, files, folders, leave, trash }) =>
    sentence([
      ...files + folders > 0
        ? [`${format.counted(files, "file")} and ${format.counted(folders, "folder")} would be deleted`]
        : [],
      ...trash > 0 ? [`${format.count(trash)} would go to the trash`] : [],
      ...leave > 0 ? [`${format.count(leave)} would stay`] : [],
      ...fail > 0 ? [`${format.count(fail)} would fail`] : []
    ]),
  isIncomplete: ({ fail }) => fail > 0
}

/** Tells of all steps. */
export const tell = <E extends object, T extends object>(
  steps: Stream.Stream<E, never, Files>,
  { actionOf, add, isIncomplete, line, none, sentence }: Telling<E, T>,
  { json, quiet }: Options
): Effect.Effect<void, Stop.Stop> =>
  Effect.gen(function*() {
    const show = (step: E) => {
      if (json) return quiet ? Effect.void : print(events.line("step", { ...step, action: actionOf(step) }))
      const text = line(step)
      const [head = ""] = /^\S+ +/.exec(text) ?? []
      return quiet || text === ""
        ? Effect.void
        : print(hanging(head, text.slice(head.length), Process.current().stdout))
    }
    const counted = Stream.runFoldEffect(steps, () => none, (totals, step) => Effect.as(show(step), add(totals, step)))
    yield* Memory.settle("400 millis")
    const totals = yield* withFiles(counted)
    if (!quiet) yield* (json ? print(events.line("summary", { dryRun: true, ...totals })) : say(sentence(totals)))
    if (isIncomplete(totals)) return yield* Stop.withCode(ExitCode.someFailed)
  }).pipe(Effect.scoped)
