import * as JobStore from "@fanout/core/JobStore"
import { jobStoreContract } from "./JobStoreContract.ts"

jobStoreContract("memory", JobStore.layerMemory)
