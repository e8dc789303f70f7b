/**
 * What is common to files and folders that are open.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { type Answer, type Call, type Calls, type Failed, isCode, isFailed, map } from "../../Calls.ts"
import type * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import { type Call as Name, FilesError } from "../../FilesError.ts"
import type { Way } from "./callWays.ts"
import { later, type Routine } from "./routine.ts"

/** Whether it is one component. */
export const isName = (name: FilePath.FilePath): boolean =>
  name !== "" && name !== "." && name !== ".." && !name.includes("/")

/** Error of a call. */
export const failure = (call: Name, path: FilePath.FilePath, code: string, target?: FilePath.FilePath): FilesError =>
  new FilesError({ call, path, target: Option.fromUndefinedOr(target), code })

/** Calls, and how they are made. */
export interface System {
  readonly calls: Calls
  readonly way: Way
}

/** What an error says of a call, and whether that may take any time. */
interface Told {
  readonly path: FilePath.FilePath
  readonly target?: FilePath.FilePath | undefined
  readonly isLong?: boolean
}

/**
 * Makes one call, or does a routine. That can't be called off: the kernel goes on with a call, so an interrupted fiber
 * must wait for it too.
 */
export const attempt = <A>(
  { make }: Way,
  name: Name,
  what: () => Call<A> | Routine<Answer<A> | Failed>,
  { isLong, path, target }: Told
): Effect.Effect<A, FilesError> =>
  Effect.uninterruptible(
    Effect.callback<A, FilesError>((resume) => {
      const tell = (answer: Answer<A> | Failed): void => {
        if (isFailed(answer)) resume(Effect.fail(failure(answer.call, path, answer.code.name)))
        else resume(isCode(answer) ? Effect.fail(failure(name, path, answer.name, target)) : Effect.succeed(answer))
      }
      const made = what()
      if ("now" in made) return make(made, tell, isLong)
      later(made, make, (ended) => "value" in ended ? tell(ended.value) : resume(Effect.die(ended.defect)))
    })
  )

/** All that is known of a file, read once: what a call gives reads it from what the kernel has filled in. */
export const read = (call: Call<Files.FileStat>): Call<Files.FileStat> =>
  map(call, (stat) => ({
    kind: stat.kind,
    special: stat.special,
    device: stat.device,
    inode: stat.inode,
    links: stat.links,
    mode: stat.mode,
    owner: stat.owner,
    group: stat.group,
    sizeBytes: stat.sizeBytes,
    allocatedBytes: stat.allocatedBytes,
    accessedNanos: stat.accessedNanos,
    modifiedNanos: stat.modifiedNanos,
    changedNanos: stat.changedNanos,
    bornNanos: stat.bornNanos
  }))

/** Something that is open, until it is closed or its scope ends. */
export abstract class Open {
  readonly path: FilePath.FilePath
  protected readonly system: System
  protected readonly descriptor: number
  protected isOpen = true

  constructor(system: System, descriptor: number, path: FilePath.FilePath) {
    this.system = system
    this.descriptor = descriptor
    this.path = path
  }

  /** Never hands a descriptor to the kernel that is closed: the number may be somebody else's by now. */
  protected call<A>(
    name: Name,
    call: (calls: Calls, descriptor: number) => Call<A> | Routine<Answer<A> | Failed>,
    told: Partial<Told> = {}
  ): Effect.Effect<A, FilesError> {
    const { path = this.path } = told
    return Effect.suspend(() =>
      this.isOpen
        ? attempt<A>(this.system.way, name, () => call(this.system.calls, this.descriptor), { ...told, path })
        : Effect.fail(failure(name, path, "EBADF"))
    )
  }

  get stat(): Effect.Effect<Files.FileStat, FilesError> {
    return this.call("fstat", (calls, descriptor) => read(calls.stat(descriptor)))
  }

  /** What the finalizer of the scope does. */
  abstract readonly release: Effect.Effect<void>
}

/**
 * Opens something that is closed with its scope. `Effect.acquireRelease` keeps the context for what releases it: to
 * merge that takes longer than to close a file, which needs none.
 */
export const scoped = <A extends Open>(
  open: Effect.Effect<A, FilesError>
): Effect.Effect<A, FilesError, Scope.Scope> =>
  Files.waitForDescriptor(
    Effect.uninterruptible(
      Effect.flatMap(Effect.scope, (scope) => Effect.tap(open, ({ release }) => Scope.addFinalizer(scope, release)))
    )
  )
