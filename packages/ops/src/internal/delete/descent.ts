/**
 * Goes down from the root of a deletion, folder by folder, by handles: nobody who moves or swaps a folder meanwhile can
 * lead it anywhere else.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import { FilesError } from "../../FilesError.ts"
import { componentsOf } from "../path/components.ts"
import * as Place from "../path/place.ts"
import { type DeleteRoot, identityText } from "./deleteRoot.ts"
import { DeleteFailed } from "./deleteTask.ts"

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

/** What is said of what was named and is not there. */
export const noEntry = (path: FilePath.FilePath): FilesError =>
  new FilesError({ call: "lstat", code: "ENOENT", path, target: Option.none() })

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

/** What removing folders has come to: how many are gone, and why the last one of them stayed, if one did. */
interface Climb {
  readonly removed: number
  readonly stoppedBy?: FilesError
}

const isGone = (error: FilesError): boolean => error.code === "ENOENT"

/** The way from the folder that the root is in down to one under the root, as far as there is one. */
export class Descent {
  private readonly where: Where
  /** Names from the root on; the first one is the root's own. */
  private names: ReadonlyArray<FilePath.FilePath> = []
  /** The last folders on the way. The first of all is the one that the root is in. */
  private readonly open: Array<{ readonly folder: Files.Folder; readonly scope: Scope.Closeable }> = []
  /** How many folders on the way are not open any more. */
  private closed = 0
  /** What the root is on, once that is known. */
  private home: Files.Identity | undefined

  constructor(where: Where) {
    this.where = where
  }

  /** How many of the names there are; -1 where not even the folder that the root is in is open. */
  private get reached(): number {
    return this.closed + this.open.length - 1
  }

  /** The folder at the end; nothing where that is gone, or something above it. */
  get folder(): Files.Folder | undefined {
    return this.reached === this.names.length ? this.open.at(-1)?.folder : undefined
  }

  /** Whether a folder is the root, where that is looked for, or may be removed with it. */
  mayEnter(identity: Files.Identity): boolean {
    const { oneFileSystem, root } = this.where
    if (this.reached === 0) return identityText(identity) === root.identity
    return !oneFileSystem || this.home === undefined || Files.isOnSame(identity, this.home)
  }

  private push<E, R>(opening: Effect.Effect<Files.Folder, E, R | Scope.Scope>) {
    return Effect.uninterruptible(Effect.gen({ self: this }, function*() {
      const scope = yield* Scope.make()
      const folder = yield* Effect.onError(
        Scope.provide(opening, scope),
        (cause) => Scope.close(scope, Exit.failCause(cause))
      )
      this.open.push({ folder, scope })
      const oldest = this.open.length > maxOpen ? this.open.shift() : undefined
      if (oldest === undefined) return
      this.closed++
      yield* Scope.close(oldest.scope, Exit.void)
    }))
  }

  /**
   * Goes to a folder under the root, or to the one that the root is in, as far as there is a way: by the folders that
   * it is in already, as far as they are on it.
   */
  goTo(path: FilePath.FilePath | null): Effect.Effect<void, FilesError | DeleteFailed, Files.Files> {
    return Effect.gen({ self: this }, function*() {
      const below = path === null ? [] : componentsOf(path)
      const names = path === null ? [] : [FilePath.name(this.where.root.path), ...below]
      let shared = 0
      while (shared < this.reached && shared < names.length && names[shared] === this.names[shared]) shared++
      if (shared < this.closed) yield* this.close
      while (this.reached > shared) {
        const last = this.open.pop()
        if (last !== undefined) yield* Scope.close(last.scope, Exit.void)
      }
      this.names = names
      yield* this.down
    })
  }

  /** Goes as far down as there are folders of these names. */
  private get down(): Effect.Effect<void, FilesError | DeleteFailed, Files.Files> {
    return Effect.gen({ self: this }, function*() {
      const { oneFileSystem, root } = this.where
      if (this.reached < 0) yield* this.push(Effect.map(Place.open(root.path), (place) => place.folder))
      while (this.reached < this.names.length) {
        const at = this.reached
        const name = this.names[at]
        const parent = this.open.at(-1)?.folder
        if (name === undefined || parent === undefined) break
        yield* this.push(
          Effect.tap(
            parent.folder(name),
            (folder) =>
              at > 0 && !oneFileSystem ? Effect.void : Effect.flatMap(folder.identity, (identity) => {
                if (!this.mayEnter(identity)) {
                  return Effect.fail(at === 0 ? replaced(root) : mounted(folder.path))
                }
                if (at === 0) this.home = identity
                return Effect.void
              })
          )
        )
      }
    }).pipe(Effect.catchIf((error) => error._tag === "FilesError" && isGone(error), () => Effect.void))
  }

  /** Removes the last folder that there is, and those above it, as long as they are empty. */
  get climb(): Effect.Effect<Climb, FilesError | DeleteFailed, Files.Files> {
    return Effect.gen({ self: this }, function*() {
      let removed = 0
      for (let at = this.reached - 1; at >= 0; at--) {
        if (at < this.closed) {
          // What is open is closed before it goes down again: there may be many such ways.
          yield* this.close
          this.names = this.names.slice(0, at + 1)
          yield* this.down
          // Something on the way may be gone by now.
          at = Math.min(at, this.reached - 1)
        }
        const parent = this.open[at - this.closed]?.folder
        const name = this.names[at]
        if (parent === undefined || name === undefined) break
        const result = yield* Effect.result(parent.removeFolder(name))
        if (Result.isSuccess(result)) removed++
        else if (!isGone(result.failure)) return { removed, stoppedBy: result.failure }
      }
      return { removed }
    })
  }

  get close(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.closed = 0
      return Effect.forEach(this.open.splice(0), ({ scope }) => Scope.close(scope, Exit.void), { discard: true })
    })
  }
}

/** Goes down from a root, and back again. */
export const descending = <A, E, R>(
  where: Where,
  use: (descent: Descent) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const descent = new Descent(where)
    return Effect.ensuring(use(descent), descent.close)
  })

/** Removes a root that is no folder, unless it is another one by now. */
export const removeAlone = Effect.fnUntraced(
  function*(root: DeleteRoot) {
    const { folder, name } = yield* Place.open(root.path)
    if (identityText(yield* folder.lstat(name)) !== root.identity) return yield* replaced(root)
    yield* folder.unlink(name)
  },
  Effect.scoped,
  Effect.catchIf((error) => error._tag === "FilesError" && isGone(error), () => Effect.void)
)
