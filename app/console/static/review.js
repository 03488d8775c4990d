// The events, one by one and in lists. (Filled by the review.)
import { isReady } from "./shell.js";

isReady();
