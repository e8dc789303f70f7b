/**
 * Tells what comes of an entry that was not copied: a failure, nothing if it vanished, or a pause of the job if its
 * disk is gone.
 */
import type { JobStoreError } from "@fanout/core/JobStoreError"
import * as Task from "@fanout/core/Task"
import * as Effect from "effect/Effect"
import * as FilePath from "../../FilePath.ts"
import type { FilesError } from "../../FilesError.ts"
import { SkipReason } from "../../SkipReason.ts"
import { goneWith } from "../entry/sourcePlace.ts"
import type { NoFreeName } from "../path/numberedName.ts"
import type { CopyError } from "../steps/copyError.ts"
import { pauseIfMoved, pauseOn } from "../work/diskPause.ts"
import * as JobFileSystems from "../work/jobFileSystems.ts"
import { type CopyEntry, EntryCopied, EntryFailed, isTransient } from "./copyTask.ts"

type Payload = Task.Payload<typeof CopyEntry>

/** Why something was not copied. */
export type Failure = CopyError | FilesError | NoFreeName | JobStoreError

/** What the file system has answered, if it was asked. */
const answerOf = (failure: Failure): FilesError | undefined =>
  failure._tag === "FilesError"
    ? failure
    : failure._tag === "CopyError" && failure.reason._tag === "CallFailed"
    ? failure.reason.error
    : undefined

/** The path of a source that is gone, if that is why. */
const vanishedOf = (failure: Failure, { source }: Payload): FilePath.FilePath | undefined =>
  failure._tag === "CopyError" && failure.reason._tag === "Vanished"
    ? failure.reason.path
    : failure._tag === "FilesError" && failure.isMissing && failure.path === source
    ? source
    : undefined

/**
 * Tells what comes of a failure. Where all of a disk is gone the job is paused; a source that is gone since it was
 * listed is none. A folder that can't be listed is told as such, so that a retry begins with it, and gives it its mode
 * and times.
 */
export const tell = Effect.fnUntraced(function*(failure: Failure, payload: Payload) {
  const { kind, source, target } = payload
  const [answer, vanished] = [answerOf(failure), vanishedOf(failure, payload)]
  if (vanished !== undefined || (answer !== undefined && JobFileSystems.mayBeAll(answer))) {
    yield* pauseIfMoved([source, target])
  }
  const gone = vanished === undefined ? undefined : yield* goneWith(vanished)
  if (gone !== undefined) {
    const why = `"${FilePath.display(gone)}", which was to be copied, is not there any more`
    return yield* new EntryFailed({ code: "SourceGone", path: source, why })
  }
  if (vanished !== undefined) return yield* Task.skip(SkipReason.Vanished)
  const code = answer?.code ?? (failure._tag === "CopyError" ? failure.reason._tag : failure._tag)
  const path = failure._tag === "NoFreeName" ? target : source
  const error = new EntryFailed({ code, path, why: failure.message })
  if (kind !== "list" || isTransient(code) || pauseOn(error) !== undefined) return yield* error
  return EntryCopied.cases.Unlisted.make({ code, why: error.why })
})
