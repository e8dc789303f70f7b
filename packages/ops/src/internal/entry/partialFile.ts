/**
 * Creates the file that a large one is copied to: one that a run before this has begun, where that can be gone on with.
 */
import * as Interrupter from "@fanout/core/Interrupter"
import type * as JobId from "@fanout/core/JobId"
import * as Lease from "@fanout/core/Lease"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import type { FilesError } from "../../FilesError.ts"
import { edition } from "../files/statComparison.ts"
import * as Place from "../path/place.ts"
import * as TemporaryName from "../path/temporaryName.ts"
import type { CopyError } from "../steps/copyError.ts"
import { createAnew, createDraft, type Draft, place, refuseShortened } from "../steps/filePlacement.ts"
import * as SavedCopy from "../steps/savedCopy.ts"
import { onDestination } from "../steps/sideErrors.ts"
import type { CopyRequest } from "./copyRequest.ts"

/** File that is written to, and how far that has come. */
export interface PartialFile extends Draft {
  /** Its first bytes are those of the source already. */
  readonly bytes: number
  /** How many bytes were counted. */
  readonly counted: number
  /** Keeps how far it has come: how many bytes were written, and how many of them are on the device. */
  readonly save: (bytes: number, flushed: number) => Effect.Effect<void>
  /** Inode of the object that it has become, once that is in its place. */
  readonly made?: () => bigint | undefined
}

const bootFile = FilePath.make("/proc/sys/kernel/random/boot_id")

/** Names the run of the machine. Where it has no name nobody knows whether there was another one since. */
const bootId: Effect.Effect<string, never, Files.Files> = Effect.scoped(
  Files.Files.use((files) =>
    Effect.flatMap(files.open(bootFile), (file) => {
      const buffer = Buffer.alloc(64)
      return Effect.map(file.read(buffer), (length) => buffer.toString("latin1", 0, length).trim())
    })
  )
).pipe(Effect.orElseSucceed(() => ""))

/** What all that was written is there for: the present run of the machine, and the mount. */
interface Present {
  readonly boot: string
  readonly mount: bigint
}

/** How much of what was written can be relied upon. */
const reliable = ({ boot, bytes, flushed, mount }: SavedCopy.Partial, present: Present): number =>
  boot !== "" && boot === present.boot && mount === present.mount ? bytes : flushed

/** Opens what a run before this one has written, and gives it the name that it has now; nothing if it is gone. */
const reopen = Effect.fnUntraced(function*(
  { target: { folder }, temporary }: CopyRequest,
  { inode, name }: SavedCopy.Partial,
  bytes: number
): Effect.fn.Return<Files.OpenFile | undefined, FilesError | Interrupter.Interrupted, Scope.Scope> {
  const file = yield* folder.update(name)
  const found = yield* file.stat
  // With another name it is the copy of a run that was stopped right after it had that.
  const isOwn = found.kind === "file" && found.inode === inode && found.links === 1
  if (!isOwn || found.sizeBytes < bytes) return undefined
  yield* Lease.check
  if (name !== temporary) yield* folder.rename(name, temporary)
  return file
})

/** Names that owners before this one may have written it to: one that was killed has not recorded all of them. */
const earlierNames = (job: JobId.JobId, token: number, target: FilePath.FilePath): Set<FilePath.FilePath> =>
  new Set(Array.from({ length: token - 1 }, (_, index) => TemporaryName.make(job, index + 1, target)))

/** Whether somebody will go on with a copy that ended like this. */
const isInterrupted = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Exit.isFailure(exit) && (Cause.hasInterruptsOnly(exit.cause) ||
    Option.exists(Exit.findErrorOption(exit), (error) => error instanceof Interrupter.Interrupted))

/** Creates a file that nobody goes on with. */
export const create = (request: CopyRequest): Effect.Effect<PartialFile, CopyError, Scope.Scope> =>
  Effect.map(createDraft(request), (draft) => ({ ...draft, bytes: 0, counted: 0, save: () => Effect.void }))

/**
 * Creates the file, or opens it again. In a job it keeps its temporary name where it is interrupted, and loses it where
 * the copy fails.
 */
export const open = Effect.fnUntraced(function*(
  request: CopyRequest,
  stat: Files.FileStat
): Effect.fn.Return<PartialFile, CopyError | Interrupter.Interrupted, Files.Files | Scope.Scope> {
  const { job, token } = yield* Lease.Lease
  // Nobody would go on with it, nor remove what is left of it.
  if (Option.isNone(job)) return yield* create(request)
  const { target, temporary } = request
  const { folder } = target
  const { partial } = yield* SavedCopy.get
  yield* refuseShortened({ folder, name: temporary })
  const { mount } = yield* onDestination(folder.identity)
  const now: Present = { boot: yield* bootId, mount }
  const present = edition(stat)
  yield* Effect.addFinalizer((exit) =>
    Exit.isSuccess(exit) || isInterrupted(exit) ? Effect.void : Effect.ignore(folder.unlink(temporary))
  )
  const bytes = partial?.edition === present ? reliable(partial, now) : 0
  const before = partial === undefined || bytes === 0 ? undefined : yield* reopen(request, partial, bytes).pipe(
    Effect.catchTag("FilesError", () => Effect.undefined)
  )
  if (before === undefined) {
    // Nobody else would remove them as long as the job goes on, and they take room.
    yield* Lease.check
    const left = earlierNames(job.value, token, Place.path(target))
    if (partial !== undefined) left.add(partial.name)
    for (const name of left) yield* Effect.ignore(folder.unlink(name))
  }
  const file = before ?? (yield* onDestination(createAnew(folder, temporary, folder.create(temporary))))
  const { inode } = yield* onDestination(file.stat)
  const counted = partial?.counted ?? 0
  return {
    file,
    bytes: before === undefined ? 0 : bytes,
    counted,
    save: (bytes, flushed) =>
      SavedCopy.save({
        partial: {
          edition: present,
          name: temporary,
          inode,
          bytes,
          flushed,
          ...now,
          counted: Math.max(counted, bytes)
        }
      }),
    place: Effect.andThen(onDestination(file.close), place(request))
  }
})
