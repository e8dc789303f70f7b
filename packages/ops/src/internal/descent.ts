/**
 * Goes down from the root of a deletion, folder by folder, by handles: nobody who moves or swaps a folder meanwhile can
 * lead it anywhere else.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { type DeleteRoot, folderText, otherText } from "../DeleteRoot.ts"
import { DeleteFailed } from "../DeleteTask.ts"
import * as FilePath from "../FilePath.ts"
import * as Files from "../Files.ts"
import type { FilesError } from "../FilesError.ts"
import * as Place from "../Place.ts"

/** Folders on the way that stay open. A deep tree must not use up the descriptors of the process. */
const maxOpen = 32

const replaced = ({ path }: DeleteRoot) => {
  const why = `"${FilePath.display(path)}" is another one than when the job started`
  return new DeleteFailed({ code: "Replaced", path, why })
}

const mounted = (path: FilePath.FilePath) => {
  const why = `"${FilePath.display(path)}" is on another file system and was left: ` +
    "unmount that and try again, or delete with --cross-mounts"
  return new DeleteFailed({ code: "Mounted", path, why })
}

/** The failure of one thing, from what a call has failed with. */
export const failed = (error: FilesError | DeleteFailed): DeleteFailed => {
  if (error._tag === "DeleteFailed") return error
  if (error.code === "EXDEV") return mounted(error.path)
  return new DeleteFailed({ code: error.code, path: error.path, why: error.message })
}

interface Where {
  readonly root: DeleteRoot
  readonly oneFileSystem: boolean
}

/** What removing folders has come to. */
export interface Climb {
  readonly removed: number
  /** Why the last one of them stayed, if one did. */
  readonly stoppedBy: FilesError | undefined
}

const isGone = (error: FilesError): boolean => error.code === "ENOENT"

/** The way from the folder that the root is in down to one under the root, as far as there is one. */
export class Descent {
  private readonly where: Where
  /** Names from the root on; the first one is the root's own. */
  private names: ReadonlyArray<FilePath.FilePath>
  /** The last folders on the way. The first of all is the one that the root is in. */
  private readonly open: Array<{ readonly folder: Files.Folder; readonly scope: Scope.Closeable }> = []
  /** How many folders on the way are not open any more. */
  private closed = 0

  constructor(where: Where, path: FilePath.FilePath) {
    this.where = where
    this.names = [FilePath.name(where.root.path), ...path === "" ? [] : path.split("/").map(FilePath.make)]
  }

  /** How many of the names there are. */
  private get reached(): number {
    return this.closed + this.open.length - 1
  }

  /** The folder at the end; nothing where that is gone, or something above it. */
  get folder(): Files.Folder | undefined {
    return this.reached === this.names.length ? this.open.at(-1)?.folder : undefined
  }

  private push<E, R>(opening: Effect.Effect<Files.Folder, E, R | Scope.Scope>) {
    return Effect.uninterruptible(Effect.gen({ self: this }, function*() {
      const scope = yield* Scope.make()
      const folder = yield* Effect.onError(
        Scope.provide(opening, scope),
        (cause) => Scope.close(scope, Exit.failCause(cause))
      )
      this.open.push({ folder, scope })
      if (this.open.length <= maxOpen) return folder
      const oldest = this.open.shift()
      this.closed++
      if (oldest !== undefined) yield* Scope.close(oldest.scope, Exit.void)
      return folder
    }))
  }

  /** Goes as far down as there are folders of these names. */
  get down(): Effect.Effect<void, FilesError | DeleteFailed, Files.Files> {
    return Effect.gen({ self: this }, function*() {
      const { oneFileSystem, root } = this.where
      let folder = yield* this.push(Effect.map(Place.open(root.path), (place) => place.folder))
      let home: Files.Identity | undefined
      for (const name of this.names) {
        folder = yield* this.push(folder.folder(name))
        if (home !== undefined && !oneFileSystem) continue
        const identity = yield* folder.identity
        if (home === undefined) {
          if (folderText(identity) !== root.identity) return yield* replaced(root)
          home = identity
        } else if (!Files.isOnSame(identity, home)) return yield* mounted(folder.path)
      }
    }).pipe(Effect.catchIf((error) => error._tag === "FilesError" && isGone(error), () => Effect.void))
  }

  /** Removes the last folder that there is, and those above it, as long as they are empty. */
  get climb(): Effect.Effect<Climb, FilesError | DeleteFailed, Files.Files> {
    return Effect.gen({ self: this }, function*() {
      let removed = 0
      for (let at = this.reached - 1; at >= 0; at--) {
        if (at < this.closed) {
          yield* this.returnTo(at)
          // Something on the way may be gone by now.
          at = Math.min(at, this.reached - 1)
        }
        const parent = this.open[at - this.closed]?.folder
        const name = this.names[at]
        if (parent === undefined || name === undefined) break
        const error = yield* Effect.match(parent.removeFolder(name), {
          onFailure: (error) => isGone(error) ? undefined : error,
          onSuccess: () => {
            removed++
            return undefined
          }
        })
        if (error !== undefined) return { removed, stoppedBy: error }
      }
      return { removed, stoppedBy: undefined }
    })
  }

  /** Goes down again, as far as this name. Before, it closes what is open: there may be many such ways. */
  private returnTo(at: number): Effect.Effect<void, FilesError | DeleteFailed, Files.Files> {
    return Effect.andThen(
      this.close,
      Effect.suspend(() => {
        this.closed = 0
        this.names = this.names.slice(0, at + 1)
        return this.down
      })
    )
  }

  get close(): Effect.Effect<void> {
    return Effect.suspend(() =>
      Effect.forEach(this.open.splice(0), ({ scope }) => Scope.close(scope, Exit.void), { discard: true })
    )
  }
}

/** Goes down to a folder under the root, and does something there. */
export const within = <A, E, R>(
  where: Where,
  path: FilePath.FilePath,
  use: (descent: Descent) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | FilesError | DeleteFailed, R | Files.Files> =>
  Effect.suspend(() => {
    const descent = new Descent(where, path)
    return Effect.ensuring(Effect.andThen(descent.down, Effect.suspend(() => use(descent))), descent.close)
  })

/** Removes a root that is no folder. */
export const removeAlone = Effect.fnUntraced(
  function*(root: DeleteRoot) {
    const place = yield* Place.open(root.path)
    yield* checkAlone(root, place)
    yield* place.folder.unlink(place.name)
  },
  Effect.scoped,
  Effect.catchIf((error) => error._tag === "FilesError" && isGone(error), () => Effect.void)
)

/** Fails where a root that is no folder is another one by now. */
const checkAlone = Effect.fnUntraced(function*(root: DeleteRoot, place: Place.Place) {
  if (otherText(yield* place.folder.lstat(place.name)) !== root.identity) return yield* replaced(root)
})
