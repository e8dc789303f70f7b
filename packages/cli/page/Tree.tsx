/**
 * Shows the jobs that a job has started, and what these have started, as a tree that opens level by level.
 */
import { useState } from "preact/hooks"
import { Blank, Broken, Waiting } from "./Blank.tsx"
import { type Child, children, type Row } from "./client.ts"
import { sinceOf } from "./JobRow.tsx"
import { useLive } from "./live.ts"
import { isOver } from "./places.ts"
import { to } from "./route.ts"
import { count, counted, percent, printable, rateOf } from "./shown.ts"
import { SignOf, states, StateSign, wordOf } from "./StateSign.tsx"
import { Ago } from "./Time.tsx"

type Counts = Readonly<Record<string, number>>

const sumOf = (counts: Counts): number => Object.values(counts).reduce((sum, many) => sum + many, 0)

/** Numbers of the jobs that a job has started, by state; each leads to a list of them. */
export const ChildCounts = ({ counts, id }: { readonly id: string; readonly counts: Counts }) => (
  <p class="states">
    {states.filter((state) => (counts[state] ?? 0) > 0).map((state) => (
      <a key={state} href={to(["jobs"], { parent: id, state })}>
        <SignOf state={state} />
        {wordOf(state)} <span class="number">{count(counts[state] ?? 0)}</span>
      </a>
    ))}
    <a href={to(["jobs"], { parent: id })}>all of them</a>
  </p>
)

/** How far a job is, or what it has come to. */
const farOf = (job: Row): string => {
  const { share } = job.progress
  if (isOver(job) || share === null) return printable(job.error ?? job.counted)
  return [percent(share), rateOf(job.progress)].filter((part) => part !== "").join(", ")
}

interface BranchProperties {
  readonly job: Child
  readonly isOpen: boolean
  readonly onToggle: () => void
}

/** One job of the tree, with the numbers of those that it has started itself. */
export const Branch = ({ isOpen, job, onToggle }: BranchProperties) => {
  const title = printable(job.title)
  const kinds = states.flatMap((state) => {
    const many = job.children[state] ?? 0
    return many === 0 ? [] : [`${count(many)} ${wordOf(state)}`]
  })
  return (
    <div class="branch">
      {kinds.length > 0 && (
        <button
          type="button"
          class="quiet"
          aria-expanded={isOpen}
          aria-label={`What ${title} has started`}
          onClick={onToggle}
        >
          {isOpen ? "−" : "+"}
        </button>
      )}
      <StateSign job={job} />
      <a class="title" href={to(["jobs", job.id])}>{title}</a>
      <span class="far">{farOf(job)}</span>
      {job.progress.failed > 0 && (
        <a class="failures" href={to(["jobs", job.id, "failed"])}>{counted(job.progress.failed, "failure")}</a>
      )}
      {kinds.length > 0 && <span class="kinds">has started {kinds.join(", ")}</span>}
      <span class="since">
        <Ago at={sinceOf(job)} />
      </span>
    </div>
  )
}

const Opening = ({ job }: { readonly job: Child }) => {
  const [isOpen, setOpen] = useState(false)
  return (
    <li>
      <Branch job={job} isOpen={isOpen} onToggle={() => setOpen(!isOpen)} />
      {isOpen && <Level id={job.id} />}
    </li>
  )
}

/** The newest jobs that a job has started. */
const Level = ({ id }: { readonly id: string }) => {
  const { error, value } = useLive(`children ${id}`, (signal) => children(id, signal))
  if (value === undefined) return error === undefined ? <Waiting /> : <Broken error={error} />
  return (
    <>
      <ul class="tree">{value.jobs.map((job) => <Opening key={job.id} job={job} />)}</ul>
      {value.next !== null && (
        <p class="nothing">
          These are the newest {count(value.jobs.length)} of {count(sumOf(value.counts))}.{" "}
          <a href={to(["jobs"], { parent: id })}>List all of them</a>
        </p>
      )}
    </>
  )
}

export const Tree = ({ counts, id }: { readonly id: string; readonly counts: Counts }) => (
  <section>
    <h2 class="unseen">Jobs it has started</h2>
    {sumOf(counts) === 0
      ? <Blank title="It has started no other jobs." />
      : (
        <>
          <ChildCounts id={id} counts={counts} />
          <Level id={id} />
        </>
      )}
  </section>
)
